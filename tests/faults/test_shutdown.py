"""Workers that are asked to end: nothing is lost, nothing is waited for in vain."""

from tests.faults.scene import BOTH_WAYS, SLOW, Scene, script
from tests.support.processes import UNHARMED

ENDLESS = script(deltas=10_000, delay_ms=20)

pytestmark = BOTH_WAYS


async def test_a_worker_asked_to_stop_finishes_what_it_has_begun(scene: Scene) -> None:
    await scene.ask(SLOW)
    worker = await scene.workshop.ready(**UNHARMED)
    await scene.until_streaming()
    worker.ask_to_stop()
    assert await worker.ended() == 0
    assert await scene.fences() == [1]
    await scene.assert_sound()


async def test_a_stopping_worker_claims_nothing_more(scene: Scene) -> None:
    session = await scene.ask(SLOW)
    worker = await scene.workshop.ready(**UNHARMED)
    await scene.until_streaming()
    worker.ask_to_stop()
    await scene.until_logged(worker, "worker.stopping")
    await scene.chat.ada.say(session, "too late")
    await scene.ask("too late as well")
    assert await worker.ended() == 0
    assert sorted(await scene.fences()) == [0, 0, 1]


async def test_runs_that_outlast_the_drain_are_given_back_without_a_failure(scene: Scene) -> None:
    await scene.ask(script(deltas=60, delay_ms=50))
    worker = await scene.workshop.ready(WORKER_DRAIN_S="1", **UNHARMED)
    await scene.until_streaming()
    worker.ask_to_stop()
    assert await worker.ended(within_s=20) == 0
    # The lease has most of its time to go: it was the worker who gave the run back.
    assert await scene.count("status = 'ready' and failures = 0 and fence = 1") == 1
    await scene.workshop.ready()
    await scene.until_idle()
    await scene.assert_sound()


async def test_a_second_signal_gives_the_runs_back_at_once(scene: Scene) -> None:
    await scene.ask(ENDLESS)
    worker = await scene.workshop.ready(WORKER_DRAIN_S="60", **UNHARMED)
    await scene.until_streaming()
    worker.ask_to_stop()
    await scene.until_logged(worker, "worker.stopping")
    worker.ask_to_stop()
    assert await worker.ended(within_s=20) == 0
    assert await scene.count("status = 'ready' and failures = 0") == 1
