"""The heartbeat keeps leases, hears of cancellations, and gives up in time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from backend.domain.ids import MessageId, RunId, SessionId, WorkerId
from backend.domain.runs import Claim
from backend.errors import DatabaseUnavailable
from backend.runs.heartbeat import Heartbeat
from backend.runs.live import LiveRun, LiveRuns, Stop
from backend.runs.queue import RunQueue
from tests.support.manual_clock import ManualClock, settle
from tests.support.scripted_gateway import Answer, ScriptedGateway, fails, returns

LEASE_S = 7.0
QUIET: dict[str, Any] = {"lost": [], "busy": [], "cancelled": [], "expired": []}


class Bench:
    """A heartbeat and the runs that it keeps."""

    def __init__(self, answer: Answer) -> None:
        self.clock = ManualClock()
        self.live = LiveRuns()
        self.gateway = ScriptedGateway(heartbeat_runs=answer)
        queue = RunQueue(self.gateway, WorkerId("w"), lease_s=LEASE_S)
        self.heartbeat = Heartbeat(queue, self.live, self.clock, lease_s=LEASE_S)

    def claim(self, name: str, fence: int = 1) -> LiveRun:
        claim = Claim(RunId(name), SessionId("s"), "offline:demo", fence, 1, 0, None)
        lease_until = self.clock.now + LEASE_S
        run = LiveRun(claim, message_id=MessageId("m"), lease_until=lease_until)
        self.live.add(run)
        return run


async def test_one_statement_keeps_the_leases_of_all_runs() -> None:
    bench = Bench(returns(QUIET))
    runs = [bench.claim("one"), bench.claim("other", fence=3)]
    bench.clock.now += 2
    await bench.heartbeat.beat()
    (arguments,) = bench.gateway.asked("heartbeat_runs")
    assert arguments["p_runs"] == [{"run_id": "one", "fence": 1}, {"run_id": "other", "fence": 3}]
    assert {run.lease_until for run in runs} == {bench.clock.now + LEASE_S}


async def test_the_lease_of_a_run_that_somebody_changes_stays_as_it_was() -> None:
    bench = Bench(returns({**QUIET, "busy": ["one"]}))
    one, other = bench.claim("one"), bench.claim("other")
    before = one.lease_until
    bench.clock.now += 2
    await bench.heartbeat.beat()
    assert (one.lease_until, other.lease_until) == (before, bench.clock.now + LEASE_S)
    assert one.stopped is None


async def test_nothing_is_asked_while_there_are_no_runs() -> None:
    bench = Bench(returns(QUIET))
    await bench.heartbeat.beat()
    assert bench.gateway.calls == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({**QUIET, "lost": ["one"]}, Stop.LOST),
        ({**QUIET, "cancelled": [{"run_id": "one", "reason": "cancelled"}]}, Stop.CANCELLED),
        ({**QUIET, "expired": ["one"]}, Stop.EXPIRED),
    ],
)
async def test_a_run_is_stopped_for_what_the_database_says(answer: Any, why: Stop) -> None:
    bench = Bench(returns(answer))
    one, other = bench.claim("one"), bench.claim("other")
    await bench.heartbeat.beat()
    assert (one.stopped, other.stopped) == (why, None)


async def test_the_same_run_under_a_newer_fence_is_not_stopped_by_an_old_answer() -> None:
    arrived = asyncio.Event()

    async def slow(_arguments: Mapping[str, Any]) -> Any:
        await arrived.wait()
        return {**QUIET, "lost": ["one"]}

    bench = Bench(slow)
    old = bench.claim("one", fence=1)
    beating = asyncio.create_task(bench.heartbeat.beat())
    await settle()
    bench.live.discard(old)
    new = bench.claim("one", fence=2)
    arrived.set()
    await beating
    assert new.stopped is None


async def test_a_run_is_given_up_when_its_lease_must_have_run_out() -> None:
    bench = Bench(fails(*[DatabaseUnavailable("away")] * 9))
    run = bench.claim("one")
    with pytest.raises(DatabaseUnavailable):
        await bench.heartbeat.beat()
    watching = asyncio.create_task(bench.heartbeat.watch())
    await bench.clock.advance(LEASE_S * 0.9)
    await watching
    assert run.stopped is None
    watching = asyncio.create_task(bench.heartbeat.watch())
    await bench.clock.advance(LEASE_S * 0.1)
    await watching
    assert run.stopped is Stop.LOST


async def test_a_wish_for_the_truth_does_not_wait_for_the_next_beat() -> None:
    bench = Bench(returns({**QUIET, "cancelled": [{"run_id": "one", "reason": "cancelled"}]}))
    run = bench.claim("one")
    beating = asyncio.create_task(bench.heartbeat.step())
    await settle()
    assert run.stopped is None
    bench.heartbeat.hurry()
    await beating
    assert run.stopped is Stop.CANCELLED
