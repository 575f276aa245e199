"""How long things wait: backoff, polls, retries while a lease lasts."""

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.backoff import backoff_s
from backend.domain.ids import MessageId, RunId, SessionId, WorkerId
from backend.domain.runs import Claim
from backend.errors import DatabaseUnavailable, NotPermitted
from backend.runs.endings import Endings
from backend.runs.flusher import Flusher
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.loops import repeat
from backend.runs.polling import PollSchedule
from backend.runs.queue import RunQueue
from tests.support.manual_clock import ManualClock, settle
from tests.support.scripted_gateway import ScriptedGateway

T = TypeVar("T")


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_backoff_never_exceeds_its_limit_by_more_than_the_jitter(
    attempt: int, jitter: float
) -> None:
    wait_s = backoff_s(attempt, base_s=0.1, limit_s=5, jitter=jitter)
    assert 0.05 <= wait_s <= 7.5


@given(st.integers(0, 20))
def test_a_backoff_doubles_until_the_limit(attempt: int) -> None:
    now, later = (backoff_s(it, base_s=1, limit_s=1e9, jitter=0.5) for it in (attempt, attempt + 1))
    assert later == 2 * now


def test_polls_behind_a_wake_up_follow_each_other_quickly_and_then_slow_down() -> None:
    schedule = PollSchedule(longest_s=1.0)
    assert schedule.next_wait_s() == 1.0
    schedule.woken()
    waits = [schedule.next_wait_s() for _ in range(6)]
    assert waits == [0.01, 0.04, 0.16, 0.64, 1.0, 1.0]


def test_no_poll_waits_longer_than_the_longest_wait() -> None:
    schedule = PollSchedule(longest_s=0.02)
    schedule.woken()
    assert [schedule.next_wait_s() for _ in range(3)] == [0.01, 0.02, 0.02]


async def test_a_step_that_fails_is_tried_again_after_a_growing_wait() -> None:
    clock = ManualClock()
    tried: list[float] = []

    async def step() -> None:
        tried.append(clock.now)
        raise DatabaseUnavailable("away")

    await _during(repeat(step, clock, name="test", until=lambda: len(tried) == 5), clock)
    gaps = [round(later - now, 3) for now, later in pairwise(tried)]
    assert gaps == [0.05, 0.1, 0.2, 0.4]


async def test_a_defect_in_a_step_does_not_end_its_loop() -> None:
    clock = ManualClock()
    tried: list[float] = []

    async def step() -> None:
        tried.append(clock.now)
        if len(tried) == 1:
            raise LookupError("a defect")

    await _during(repeat(step, clock, name="test", until=lambda: len(tried) == 3), clock)
    assert len(tried) == 3


async def test_a_call_is_repeated_over_lost_connections_while_the_run_is_ours() -> None:
    clock = ManualClock()
    run = _run(lease_until=clock.now + 10)
    answers = [DatabaseUnavailable("away"), DatabaseUnavailable("away"), "stored"]
    assert await _while_leased(run, clock, answers) == "stored"
    assert answers == []


async def test_a_call_is_not_repeated_once_the_lease_has_run_out() -> None:
    clock = ManualClock()
    run = _run(lease_until=clock.now + 0.5)
    with pytest.raises(RunStopped) as stopped:
        await _while_leased(run, clock, [DatabaseUnavailable("away")] * 50)
    assert stopped.value.why is Stop.LOST
    assert clock.now < run.lease_until


async def test_a_refusal_is_not_repeated() -> None:
    clock = ManualClock()
    answers = [NotPermitted("no"), "stored"]
    with pytest.raises(NotPermitted):
        await _while_leased(_run(lease_until=clock.now + 10), clock, answers)
    assert answers == ["stored"]


async def _while_leased(run: LiveRun, clock: ManualClock, answers: list[object]) -> object:
    queue = RunQueue(ScriptedGateway(), WorkerId("w"), lease_s=1)
    endings = Endings(queue, Flusher(queue, clock), clock)

    async def call() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return await _during(endings.while_leased(run, call), clock)


async def _during(work: Coroutine[Any, Any, T], clock: ManualClock) -> T:
    task = asyncio.create_task(work)
    await settle()
    while not task.done():
        await clock.advance(0.01)
    return await task


def _run(*, lease_until: float) -> LiveRun:
    claim = Claim(RunId("r"), SessionId("s"), "offline:demo", 1, 1, 0, None)
    return LiveRun(claim, message_id=MessageId("m"), lease_until=lease_until)
