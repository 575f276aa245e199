"""Several workers, many sessions: each session is answered in its own order, once."""

from tests.faults.scene import BOTH_WAYS, SLOW, Scene, script

pytestmark = BOTH_WAYS


async def test_two_workers_answer_twenty_sessions_in_their_order(scene: Scene) -> None:
    quick = script(deltas=4, delay_ms=5)
    for _ in range(20):
        await scene.ask(*[quick] * 5)
    for _ in range(2):
        scene.workshop.start(WORKER_CONCURRENCY="8", WORKER_LEASE_S="30")
    await scene.until_idle()
    workers = await scene.admin.fetchval("select count(*) from engine.runs where fence = 1")
    assert workers == 100
    await scene.assert_sound()


async def test_messages_sent_while_the_assistant_speaks_wait_for_their_turn(scene: Scene) -> None:
    session = await scene.ask(SLOW)
    await scene.workshop.ready()
    await scene.until_streaming()
    await scene.chat.ada.say(session, "second")
    await scene.chat.ada.say(session, "third")
    await scene.until_idle()
    await scene.assert_sound()


async def test_a_run_that_outlasts_its_lease_stays_with_its_worker(scene: Scene) -> None:
    await scene.ask(script(deltas=100, delay_ms=50))
    for _ in range(2):
        await scene.workshop.ready(WORKER_LEASE_S="3")
    await scene.until_idle()
    assert await scene.fences() == [1]
    await scene.assert_sound()


async def test_a_burst_over_many_sessions_in_one_transaction_is_answered(scene: Scene) -> None:
    await scene.workshop.ready()
    sessions = [await scene.chat.ada.start_session() for _ in range(30)]
    async with scene.admin.transaction():
        for session in sessions * 3:
            await scene.admin.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, "Hi"
            )
    await scene.until_idle()
    assert await scene.count("status = 'completed'") == 90
    await scene.assert_sound()


async def test_a_repeated_upsert_that_ignores_duplicates_starts_one_run(scene: Scene) -> None:
    session = await scene.chat.ada.start_session()
    await scene.workshop.ready()
    upsert = (
        "insert into public.messages (session_id, content, client_id) values ($1, $2, 'once')"
        " on conflict (session_id, client_id) do nothing"
    )
    for _ in range(3):
        await scene.chat.ada.change(upsert, session, "Hello")
    await scene.until_idle()
    assert len(await scene.chat.messages(session)) == 2
    await scene.assert_sound()


async def test_a_run_whose_session_vanishes_ends_quietly_and_the_worker_goes_on(
    scene: Scene,
) -> None:
    session = await scene.ask(SLOW)
    worker = await scene.workshop.ready()
    await scene.until_streaming()
    await scene.chat.ada.delete("chat_sessions", session)
    other = await scene.ask("still there?")
    await scene.until_idle()
    assert await scene.chat.statuses(other) == ["completed"]
    assert not worker.logged("run.broke")
    await scene.assert_sound()
