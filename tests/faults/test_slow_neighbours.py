"""Somebody else's transaction holds rows of a run for longer than anyone should."""

from tests.faults.scene import Scene, script


async def test_a_run_row_that_somebody_holds_delays_its_stream_and_loses_nothing(
    scene: Scene,
) -> None:
    held = await scene.ask(script(deltas=80, delay_ms=20))
    await scene.ask(script(deltas=80, delay_ms=20))
    worker = await scene.workshop.ready(WORKER_LEASE_S="10")
    await scene.until_streaming(2)
    holder = await scene.chat.line().open()
    async with holder.transaction():
        await holder.execute("select from engine.runs where session_id = $1 for update", held)
        # The other run streams on and ends meanwhile.
        await scene.until_count("status = 'completed'")
    await scene.until_idle()
    assert await scene.fences() == [1, 1]
    assert not worker.logged("run.lost")
    await scene.assert_sound()


async def test_sessions_that_somebody_holds_do_not_cost_other_runs_their_leases(
    scene: Scene,
) -> None:
    for _ in range(12):
        await scene.ask("Hello")
    long = await scene.ask(script(deltas=200, delay_ms=20))
    await scene.workshop.ready(WORKER_LEASE_S="2", DATABASE_POOL="2")
    holder = await scene.chat.line().open()
    async with holder.transaction():
        await holder.execute(
            "select from public.chat_sessions where id <> $1 for no key update", long
        )
        # Both connections of the pool wait for locks; leases have a connection of their own.
        await scene.until_count(f"status = 'completed' and session_id = '{long}'")
    await scene.until_idle()
    (run,) = await scene.chat.runs(long)
    assert run["fence"] == 1
    assert await scene.count("status = 'completed'") == 13
    await scene.assert_sound()
