"""Stopping a run cuts its model call and nothing else."""

import asyncio

import pytest

from backend.domain.ids import MessageId, RunId, SessionId
from backend.domain.messages import text_content
from backend.domain.runs import Claim
from backend.runs.live import LiveRun, LiveRuns, RunStopped, Stop
from tests.support.manual_clock import settle


def a_run(fence: int = 1) -> LiveRun:
    claim = Claim(RunId("r"), SessionId("s"), "offline:demo", fence, 1, 0, None)
    return LiveRun(claim, message_id=MessageId("m"), lease_until=0)


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_the_work_of_a_stopped_run_is_cut_and_what_it_said_is_kept() -> None:
    run = a_run()
    run.say("so far")
    waiting = asyncio.create_task(run.until_stopped(_forever()))
    await settle()
    run.stop(Stop.CANCELLED)
    with pytest.raises(RunStopped) as stopped:
        await waiting
    assert stopped.value.why is Stop.CANCELLED
    assert run.text.content == text_content("so far")


async def test_a_run_that_was_stopped_before_its_work_never_begins_it() -> None:
    run = a_run()
    run.stop(Stop.EXPIRED)
    began = []

    async def work() -> None:
        began.append(True)

    with pytest.raises(RunStopped):
        await run.until_stopped(work())
    assert began == []


async def test_the_first_reason_holds() -> None:
    run = a_run()
    run.stop(Stop.CANCELLED)
    run.stop(Stop.LOST)
    assert run.stopped is Stop.CANCELLED


async def test_an_error_of_the_work_is_the_error_of_the_call() -> None:
    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await a_run().until_stopped(broken())


async def test_cancelling_the_whole_worker_is_not_mistaken_for_a_stop() -> None:
    run = a_run()
    waiting = asyncio.create_task(run.until_stopped(_forever()))
    await settle()
    waiting.cancel()
    run.stop(Stop.DRAINED)
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_an_old_claim_that_ends_does_not_remove_the_new_one_of_the_same_run() -> None:
    live = LiveRuns()
    old, new = a_run(fence=1), a_run(fence=2)
    live.add(old)
    live.add(new)
    assert (old.stopped, new.stopped) == (Stop.LOST, None)
    live.discard(old)
    assert live.get("r") is new
    assert not live.none_left.is_set()
    live.discard(new)
    assert live.none_left.is_set()
