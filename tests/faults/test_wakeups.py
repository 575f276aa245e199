"""Wake-ups are hints: lost, repeated or absent, every message is answered."""

from tests.faults.scene import Scene, script

SILENT = "create or replace function engine.wake(p_payload text) returns void language sql as ''"
TRIPLED = """
create or replace function engine.wake(p_payload text) returns void language sql as $$
    select pg_notify('assistants_wake', p_payload);
    select pg_notify('assistants_wake', p_payload || ' again');
    select pg_notify('assistants_wake', 'nonsense');
$$
"""


async def test_messages_are_answered_when_no_wake_up_ever_arrives(scene: Scene) -> None:
    await scene.admin.execute(SILENT)
    await scene.workshop.ready()
    for _ in range(5):
        await scene.ask("Hello", "and then?")
    await scene.until_idle(within_s=30)
    await scene.assert_sound()


async def test_messages_are_answered_once_when_every_wake_up_comes_three_times(
    scene: Scene,
) -> None:
    await scene.admin.execute(TRIPLED)
    for _ in range(2):
        await scene.workshop.ready()
    for _ in range(10):
        await scene.ask("Hello", "and then?")
    await scene.until_idle()
    assert set(await scene.fences()) == {1}
    await scene.assert_sound()


async def test_messages_sent_while_no_worker_runs_are_answered_by_the_next(scene: Scene) -> None:
    for _ in range(5):
        await scene.ask("Hello", "and then?")
    assert await scene.count("status in ('ready', 'waiting')") == 10
    await scene.workshop.ready()
    await scene.until_idle()
    await scene.assert_sound()


async def test_a_worker_told_not_to_listen_finds_its_work_by_polling(scene: Scene) -> None:
    worker = scene.workshop.start(WORKER_LISTEN="off")
    await scene.ask(script(deltas=3), "and then?")
    await scene.until_idle()
    assert not worker.logged("wakeups.listening_started")
    await scene.assert_sound()


async def test_a_listener_that_was_cut_off_listens_again_and_asks_what_it_missed(
    scene: Scene,
) -> None:
    worker = await scene.workshop.ready(WORKER_POLL_S="60")
    await scene.admin.execute(SILENT)
    await scene.ask("Hello")
    await scene.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'assistants-listener'"
    )
    await scene.until_logged(worker, "wakeups.listening_started", times=2)
    # No wake-up tells of the message, and the polls are seconds apart by now.
    await scene.until_idle(within_s=8)
    await scene.assert_sound()
