"""A provider that is down for longer than a run has tries: whoever waits for it is answered in the end."""

from functools import partial

from tests.faults.scene import Scene
from tests.models.servers import Unreliable
from tests.models.test_end_to_end import scene
from tests.models.test_storms import ask, assert_all_answered, start
from tests.support.processes import WorkerProcess, until

__all__ = ["scene"]
RUNS = 40


async def has_rested(worker: WorkerProcess, times: int) -> bool:
    """Return whether it has found so often that the provider is down."""
    return len(worker.logged("breaker.opened")) >= times


async def test_runs_that_meet_a_resting_provider_wait_for_it_and_have_not_failed(
    scene: Scene, unreliable: Unreliable
) -> None:
    unreliable.will_break("disconnect", after_chunks=0, times=10_000)
    await ask(scene, RUNS)
    worker = start(scene, unreliable, MODEL_REST_S="0.1")
    # Each run has five tries.
    await until(partial(has_rested, worker, 7), 60)
    assert await scene.count("ended_at is not null") == 0
    unreliable.reset()
    unreliable.will({"type": "reply", "text": "1,141 metres.", "times": RUNS})
    await scene.until_idle(within_s=120)
    await assert_all_answered(scene, RUNS)
    # Of its own calls only: of those that nobody made, no run has failed.
    assert {it["code"] for it in worker.logged("run.retried")} == {"model_unavailable"}
    failures = await scene.admin.fetchval("select sum(failures) from engine.runs")
    assert 0 < failures <= len(worker.logged("run.retried"))
    assert worker.logged("run.deferred")
