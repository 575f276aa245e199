"""A claim that got no answer: the next one asks for less."""

import asyncio

from backend.app.catalogue import PrefixCatalogue
from backend.domain.ids import WorkerId
from backend.errors import DatabaseUnavailable
from backend.governance.fallbacks import Fallbacks
from backend.integrations.supabase.listener import PostgresWakeups
from backend.ports.clock import SystemClock
from backend.runs.announcements import Announcements
from backend.runs.asking import RunLimits
from backend.runs.execution import RunMeans
from backend.runs.queue import RunQueue
from backend.runs.worker import Worker, WorkerLimits, WorkerParts
from tests.support.processes import until
from tests.support.scripted_gateway import ScriptedGateway, fails, returns


async def test_after_an_unanswered_claim_the_next_one_comes_without_histories() -> None:
    gateway = ScriptedGateway(
        claim_runs=fails(DatabaseUnavailable("cut"), then=[]),
        report_worker=returns(None),
        dismiss_worker=returns(None),
    )
    clock = SystemClock()
    queue = RunQueue(gateway, WorkerId("w"), lease_s=5)
    deaf = PostgresWakeups("", clock, mode="off")
    told = Announcements(gateway)
    parts = WorkerParts(
        WorkerId("w"), queue, queue, RunMeans(Fallbacks(PrefixCatalogue({}))), deaf, told
    )
    run = RunLimits(max_rounds=1, max_text_bytes=100)
    limits = WorkerLimits(run=run, concurrency=1, lease_s=5, drain_s=0, poll_s=0.01)
    worker = Worker(parts, limits, clock)
    working = asyncio.create_task(worker.run())

    async def has_claimed() -> bool:
        return len(gateway.asked("claim_runs")) >= 3

    await until(has_claimed)
    worker.stop()
    await working
    with_histories = [it["p_message_limit"] > 0 for it in gateway.asked("claim_runs")]
    assert with_histories[:3] == [True, False, True]
