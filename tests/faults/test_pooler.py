"""A transaction pooler in between: no prepared statements, no LISTEN, no settings that stay."""

import pytest

from tests.faults.scene import Scene, script
from tests.support.pooler import transaction_pooler


async def test_messages_are_answered_through_a_transaction_pooler(scene: Scene) -> None:
    quick = script(deltas=5, delay_ms=5)
    with transaction_pooler(scene.workshop.database_url) as url:
        for _ in range(2):
            scene.workshop.start(DATABASE_URL=url, WORKER_LISTEN="off")
        for _ in range(10):
            await scene.ask(*[quick] * 3)
        await scene.until_idle()
        await scene.assert_sound()


async def test_a_worker_notices_by_itself_that_listening_is_in_vain(scene: Scene) -> None:
    with transaction_pooler(scene.workshop.database_url) as url:
        worker = scene.workshop.start(
            DATABASE_URL=url, DATABASE_TRANSACTION_POOLER="true", WORKER_LISTEN="auto"
        )
        await scene.until_logged(worker, "wakeups.listening_impossible")
        await scene.ask("Hello", "and then?")
        await scene.until_idle()
        assert len(worker.logged("wakeups.listening_impossible")) == 1
        await scene.assert_sound()


@pytest.mark.parametrize("fault", [{"kind": "crash", "after": 5}, {"kind": "retryable"}])
async def test_faults_behind_a_pooler_cost_no_answer(
    scene: Scene, fault: dict[str, object]
) -> None:
    with transaction_pooler(scene.workshop.database_url) as url:
        await scene.ask(script(deltas=30, delay_ms=5, fault=fault), "and then?")
        # Its lease outlasts pauses of a busy machine, but not the test's patience.
        one_each = {"WORKER_CONCURRENCY": "1", "WORKER_LEASE_S": "3"}
        for _ in range(2):
            scene.workshop.start(DATABASE_URL=url, WORKER_LISTEN="off", **one_each)
        await scene.until_idle()
        assert max(await scene.fences()) == 2
        await scene.assert_sound()
