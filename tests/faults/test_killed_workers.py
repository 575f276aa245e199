"""Workers that die: their runs are answered all the same, once."""

import pytest

from tests.faults.scene import BOTH_WAYS, SLOW, Scene, script
from tests.support.processes import UNHARMED

pytestmark = BOTH_WAYS


async def test_fifty_runs_in_flight_outlive_the_kill_of_their_worker(scene: Scene) -> None:
    for _ in range(50):
        await scene.ask(script(deltas=30, delay_ms=100))
    # Fifty at once keep a busy machine from renewing leases of a second.
    fifty = {"WORKER_CONCURRENCY": "50", "WORKER_LEASE_S": "4"}
    doomed = await scene.workshop.ready(**fifty)
    await scene.until_streaming(50)
    doomed.kill()
    orphaned = await scene.count("ended_at is null")
    await scene.workshop.ready(**fifty)
    await scene.until_idle()
    assert await scene.count("status = 'completed'") == 50
    assert orphaned > 0
    assert await scene.count("fence >= 2") >= orphaned
    await scene.assert_sound()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "crash"},
        {"kind": "crash", "after": 5},
        {"kind": "crash", "after": 30},
        {"kind": "crash_at_end"},
    ],
    ids=["before the model answers", "in the answer", "after the answer", "before the finish"],
)
async def test_a_worker_that_dies_at_this_point_costs_no_answer(
    scene: Scene, fault: dict[str, object]
) -> None:
    await scene.ask(script(deltas=30, delay_ms=5, fault=fault), "and then?")
    await scene.workshop.start().ended()
    await scene.workshop.ready(**UNHARMED)
    await scene.until_idle()
    assert await scene.fences() == [2, 1]
    assert await scene.count("status = 'completed'") == 2
    await scene.assert_sound()


async def test_a_run_that_kills_every_worker_ends_as_failed_with_the_text_that_was_seen(
    scene: Scene,
) -> None:
    await scene.chat.configure(max_failures=2)
    fault = {"kind": "crash", "after": 20, "attempts": 99}
    await scene.ask(script(deltas=30, delay_ms=10, fault=fault), "and then?")
    for _ in range(2):
        await scene.workshop.start().ended()
    await scene.workshop.ready()
    await scene.until_idle()
    failed, answered = await scene.outcomes()
    assert failed == ("incomplete", "failed", "worker_lost")
    assert answered[0] == "completed"
    await scene.assert_sound()


async def test_readers_are_told_to_forget_what_a_dead_worker_streamed(scene: Scene) -> None:
    await scene.ask(SLOW)
    doomed = await scene.workshop.ready()
    await scene.until_streaming()
    doomed.kill()
    await scene.workshop.ready()
    await scene.until_idle()
    types = [row["type"] for row in await scene.admin.fetch("select type from engine.events")]
    (claims,) = await scene.fences()
    # A worker that loses its lease under load is one more whose words are taken back.
    assert 1 <= types.count("message.discarded") < claims
    assert types.count("run.started") == 1
    await scene.assert_sound()
