"""The flusher sends all runs' events once a tick, and loses none."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from backend.domain.ids import MessageId, RunId, SessionId, WorkerId
from backend.domain.runs import Claim
from backend.errors import DatabaseUnavailable, InputInvalid
from backend.runs.flusher import TICK_S, Flusher
from backend.runs.live import LiveRun, Stop
from backend.runs.queue import RunQueue
from tests.support.manual_clock import ManualClock, settle
from tests.support.scripted_gateway import Answer, ScriptedGateway, fails, returns

NONE_LOST: Mapping[str, Any] = {"lost": (), "busy": ()}


def a_run(name: str = "run") -> LiveRun:
    claim = Claim(RunId(name), SessionId("s"), "offline:demo", 1, 1, 0, None)
    return LiveRun(claim, message_id=MessageId("m"), lease_until=0)


class Bench:
    """A flusher, its clock and the gateway that it writes to."""

    def __init__(self, answer: Answer) -> None:
        self.clock = ManualClock()
        self.gateway = ScriptedGateway(flush_events=answer)
        self.flusher = Flusher(RunQueue(self.gateway, WorkerId("w"), lease_s=1), self.clock)

    def sent(self) -> list[list[Mapping[str, Any]]]:
        return [arguments["p_batch"] for arguments in self.gateway.asked("flush_events")]

    def texts(self) -> list[str]:
        return [
            event["data"]["text"]
            for batch in self.sent()
            for run in batch
            for event in run["events"]
        ]


async def test_all_that_is_said_in_a_tick_goes_in_one_statement() -> None:
    bench = Bench(returns(NONE_LOST))
    one, other = a_run("one"), a_run("other")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.flusher.step())
        for run in (one, other, one):
            run.say("word ")
            bench.flusher.mark(run)
        await bench.clock.advance(TICK_S)
    (batch,) = bench.sent()
    assert {run["run_id"] for run in batch} == {"one", "other"}
    assert sorted(bench.texts()) == ["word ", "word word "]


async def test_nothing_is_sent_before_the_tick_is_over() -> None:
    bench = Bench(returns(NONE_LOST))
    run = a_run()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.flusher.step())
        run.say("word")
        bench.flusher.mark(run)
        await bench.clock.advance(TICK_S * 0.9)
        assert bench.sent() == []
        await bench.clock.advance(TICK_S * 0.1)
    assert bench.texts() == ["word"]


async def test_a_run_that_ends_within_a_tick_is_left_to_its_finish() -> None:
    bench = Bench(returns(NONE_LOST))
    run = a_run()
    run.say("word")
    bench.flusher.mark(run)
    await bench.flusher.settle(run)
    left = run.log.take()
    await bench.flusher.flush()
    assert bench.sent() == []
    assert len(left) == 1


async def test_a_finish_waits_for_the_flush_that_is_on_its_way() -> None:
    arrived = asyncio.Event()

    async def slow(_arguments: Mapping[str, Any]) -> Any:
        await arrived.wait()
        return NONE_LOST

    bench = Bench(slow)
    run = a_run()
    run.say("word")
    bench.flusher.mark(run)
    flushing = asyncio.create_task(bench.flusher.flush())
    await settle()
    settling = asyncio.create_task(bench.flusher.settle(run))
    await settle()
    assert not settling.done()
    arrived.set()
    await asyncio.gather(flushing, settling)
    assert run.log.take() == []


async def test_what_could_not_be_sent_is_sent_again_with_the_same_numbers() -> None:
    bench = Bench(fails(DatabaseUnavailable("away"), then=NONE_LOST))
    run = a_run()
    run.say("first")
    bench.flusher.mark(run)
    with pytest.raises(DatabaseUnavailable):
        await bench.flusher.flush()
    run.say(" second")
    await bench.flusher.flush()
    (failed,), (stored,) = bench.sent()
    assert failed["events"] == stored["events"][:1]
    assert [event["seq"] for event in stored["events"]] == [1, 2]


async def test_a_run_that_is_lost_is_stopped() -> None:
    bench = Bench(returns({"lost": ["one"], "busy": []}))
    one, other = a_run("one"), a_run("other")
    for run in (one, other):
        run.say("word")
        bench.flusher.mark(run)
    await bench.flusher.flush()
    assert (one.stopped, other.stopped) == (Stop.LOST, None)


async def test_events_of_a_run_that_somebody_changes_are_sent_again_in_their_order() -> None:
    answers = [{"lost": [], "busy": ["one"]}, NONE_LOST]

    async def busy_once(_arguments: Mapping[str, Any]) -> Any:
        return answers.pop(0)

    bench = Bench(busy_once)
    one, other = a_run("one"), a_run("other")
    for run in (one, other):
        run.say("first")
        bench.flusher.mark(run)
    await bench.flusher.flush()
    one.say(" second")
    await bench.flusher.flush()
    (again,) = bench.sent()[1]
    assert again["run_id"] == "one"
    assert [event["data"]["text"] for event in again["events"]] == ["first", " second"]
    assert one.stopped is None


async def test_events_that_are_refused_for_good_stop_their_run_and_no_other() -> None:
    async def refuse_one(arguments: Mapping[str, Any]) -> Any:
        if any(run["run_id"] == "one" for run in arguments["p_batch"]):
            raise InputInvalid("no")
        return NONE_LOST

    bench = Bench(refuse_one)
    one, other = a_run("one"), a_run("other")
    for run in (one, other):
        run.say("word")
        bench.flusher.mark(run)
    await bench.flusher.flush()
    assert (one.stopped, other.stopped) == (Stop.REFUSED, None)
    assert {"other"} in [{run["run_id"] for run in batch} for batch in bench.sent()]


async def test_words_of_an_attempt_that_lost_its_run_are_not_sent() -> None:
    bench = Bench(returns(NONE_LOST))
    old, new = a_run("same"), a_run("same")
    for run, words in ((old, "stale"), (new, "fresh")):
        run.say(words)
        bench.flusher.mark(run)
    old.stop(Stop.LOST)
    await bench.flusher.flush()
    assert bench.texts() == ["fresh"]
