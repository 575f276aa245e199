"""The database goes away and comes back."""

from tests.faults.scene import Scene, script
from tests.support.cluster import Database
from tests.support.processes import until

CUT_OFF_FINISH = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where wait_event_type = 'Lock' and query like '%finish_run%' and pid <> pg_backend_pid()
"""


async def test_runs_in_flight_outlive_a_restart_of_the_database(
    scene: Scene, database: Database
) -> None:
    for _ in range(5):
        await scene.ask(script(deltas=60, delay_ms=20), "and then?")
    worker = await scene.workshop.ready()
    await scene.until_streaming(5)
    database.cluster.restart()
    await scene.reconnect()
    await scene.ask("and now?")
    await scene.until_idle()
    assert worker.is_alive
    assert await scene.count("status = 'completed'") == 11
    await scene.assert_sound()


async def test_a_worker_started_before_its_database_waits_for_it(
    scene: Scene, database: Database
) -> None:
    await scene.ask("Hello")
    database.cluster.stop()
    worker = scene.workshop.start()
    await scene.until_logged(worker, "wakeups.listening_lost")
    database.cluster.start()
    await scene.reconnect()
    await scene.until_idle()
    await scene.assert_sound()


async def test_cut_connections_cost_no_answer(scene: Scene) -> None:
    for _ in range(5):
        await scene.ask(script(deltas=60, delay_ms=20))
    await scene.workshop.ready(WORKER_LEASE_S="3")
    await scene.until_streaming(5)
    for _ in range(5):
        await scene.admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'assistants_service'"
        )
    await scene.until_idle()
    # Quick enough for the leases: nobody had to start again.
    assert await scene.fences() == [1] * 5
    await scene.assert_sound()


async def test_a_finish_that_was_cut_off_is_repeated(scene: Scene) -> None:
    session = await scene.ask(script(deltas=5, first_delay_ms=500), "and then?")
    await scene.workshop.ready(WORKER_LEASE_S="10")
    await scene.until_count("status = 'running'")
    holder = await scene.chat.line().open()
    async with holder.transaction():
        await holder.execute(
            "select from public.chat_sessions where id = $1 for no key update", session
        )

        async def is_cut_off() -> bool:
            return bool(await scene.admin.fetchval(CUT_OFF_FINISH))

        await until(is_cut_off)
    await scene.until_idle()
    assert await scene.fences() == [1, 1]
    await scene.assert_sound()
