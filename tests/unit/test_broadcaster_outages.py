"""Words that are not taken, or cannot be read: the broadcaster loses none and holds up nobody."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.ports.broadcasts import Answer
from backend.runs.broadcast_pace import ASLEEP_S
from backend.runs.broadcaster import KEPT_S
from tests.support.manual_clock import settle
from tests.unit.broadcast_bench import Bench, bench, names

__all__ = ["bench"]


@pytest.mark.parametrize("status", [500, 502, 503, None])
async def test_what_is_not_taken_is_sent_again_with_what_came_since(
    bench: Bench, status: int | None
) -> None:
    bench.channel.answers = [Answer("later", 1, status)]
    bench.begin("a")
    bench.say("a")
    await settle()
    bench.say("a")
    await bench.clock.advance(1)

    assert bench.channel.seqs("a") == [[1], [1, 2]]


async def test_an_outage_is_met_by_fewer_and_fewer_tries_and_said_once(bench: Bench) -> None:
    bench.channel.always = Answer("later", 1, 503)
    bench.begin("a")
    with capture_logs() as logs:
        bench.say("a")
        await bench.clock.advance(300)
        tries = len(bench.channel.sent)
        bench.channel.always = None
        await bench.clock.advance(60)

    assert 10 <= tries <= 16
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("broadcast.failed", "warning"),
        ("broadcast.resumed", "info"),
    ]
    assert logs[0]["status"] == 503
    assert bench.channel.seqs("a")[-1] == [1]


async def test_after_an_outage_the_next_one_is_a_new_one(bench: Bench) -> None:
    bench.begin("a")
    with capture_logs() as logs:
        for _ in range(2):
            bench.channel.answers = [Answer("later", 1, 503)] * 6
            bench.say("a")
            await bench.clock.advance(120)
        bench.channel.answers = [Answer("later", 1, 503)]
        bench.say("a")
        await bench.clock.advance(1)

    assert [entry["event"] for entry in logs] == ["broadcast.failed", "broadcast.resumed"] * 3
    assert bench.channel.seqs("a")[-1] == [3]


async def test_ended_runs_do_not_pile_up_during_an_outage(bench: Bench) -> None:
    bench.channel.always = Answer("later", 1, None)
    for number in range(1000):
        with bench.begin(f"s{number}"):
            bench.say(f"s{number}")
            await bench.clock.advance(0.1)
    assert bench.broadcaster.sessions <= KEPT_S / 0.1 + 50

    await bench.clock.advance(60)
    assert bench.broadcaster.sessions == 0


async def test_a_project_without_realtime_is_left_alone_and_said_once(bench: Bench) -> None:
    bench.channel.always = Answer("impossible", 1, 404)
    with capture_logs() as logs:
        for number in range(2000):
            with bench.begin(f"s{number}"):
                bench.say(f"s{number}")
                await bench.clock.advance(0.5)

    assert len(bench.channel.sent) == 1 + int(1000 / ASLEEP_S)
    assert [(entry["event"], entry["status"]) for entry in logs] == [("broadcast.failed", 404)]
    assert bench.broadcaster.sessions <= 1


async def test_a_live_run_survives_the_sleep_of_a_project_that_gets_realtime(bench: Bench) -> None:
    bench.channel.answers = [Answer("impossible", 1, 403)]
    bench.begin("a")
    bench.say("a")
    await bench.clock.advance(1)
    bench.say("a")
    await bench.clock.advance(ASLEEP_S)

    assert bench.channel.seqs("a") == [[1], [1, 2]]


async def test_the_other_side_says_when_to_come_back(bench: Bench) -> None:
    bench.channel.answers = [Answer("slower", 1, 429, retry_after_s=7)]
    bench.begin("a")
    bench.say("a")
    await bench.clock.advance(6.9)
    assert len(bench.channel.sent) == 1

    await bench.clock.advance(0.2)

    assert bench.channel.seqs("a") == [[1], [1]]


async def test_who_is_told_to_go_slower_does_and_loses_nothing(bench: Bench) -> None:
    bench.channel.answers = [Answer("slower", 1, 429)] * 4
    bench.begin("a")
    for _ in range(100):
        bench.say("a")
        await bench.clock.advance(0.1)
    await bench.clock.advance(10)

    sent = bench.channel.seqs("a")
    assert len(sent) < 30
    assert [seq for message in sent[4:] for seq in message] == list(range(1, 101))
    first = len(bench.channel.sent)
    for _ in range(600):
        bench.say("a")
        await bench.clock.advance(0.1)
    # By the end the pace is the old one.
    assert len(bench.channel.sent) - first > 400


async def test_events_that_are_refused_are_dropped_and_keep_no_other_session_silent(
    bench: Bench,
) -> None:
    bench.channel.poison = {"b"}
    bench.begin("a", "b", "c")
    with capture_logs() as logs:
        for session in "abc":
            bench.say(session)
        await bench.clock.advance(1)
        bench.channel.poison = set()
        bench.say("b")
        await bench.clock.advance(1)

    assert [(entry["event"], entry["status"]) for entry in logs] == [("broadcast.refused", 422)]
    assert bench.channel.seqs("a") == [[1], [1]]
    assert bench.channel.seqs("c") == [[1], [1]]
    assert bench.channel.seqs("b") == [[1], [1], [2]]


async def test_a_database_that_is_away_delays_the_words_and_loses_none(bench: Bench) -> None:
    bench.log.failures = 3
    with bench.begin("a"):
        bench.say("a")
    await bench.clock.advance(5)

    assert bench.channel.seqs("a") == [[1]]


async def test_a_slow_other_side_delays_nobody_but_its_own_batch(bench: Bench) -> None:
    bench.channel.open.clear()
    bench.begin("a")
    bench.say("a")
    await bench.clock.advance(3)

    # `follow`, `say` and the end of a run never wait for it.
    with bench.begin("b"):
        bench.say("b")
    bench.channel.open.set()
    await bench.clock.advance(1)

    assert bench.channel.seqs("b") == [[1]]


async def test_the_log_holds_no_word_and_no_session(bench: Bench) -> None:
    bench.channel.answers = [Answer("later", 1, 500), Answer("refused", 1, 400)]
    bench.begin("a")
    with capture_logs() as logs:
        bench.say("a")
        await bench.clock.advance(5)

    allowed = {"event", "log_level", "status", "verdict", "failures"}
    assert logs
    assert all(entry.keys() <= allowed for entry in logs)


class TestDrain:
    """Without the loop: the worker has ended it by then."""

    @pytest.fixture
    def bench(self) -> Bench:
        return Bench()

    async def test_what_waits_is_sent_without_pauses(self, bench: Bench) -> None:
        with bench.begin(*names(120)):
            for session in names(120):
                bench.say(session)

        await bench.broadcaster.flush()

        assert [len(batch) for batch in bench.channel.sent] == [50, 50, 20]
        assert bench.broadcaster.sessions == 0

    async def test_a_batch_that_was_cut_off_is_sent_again(self, bench: Bench) -> None:
        bench.channel.open.clear()
        with bench.begin("a"):
            bench.say("a")
            loop = asyncio.create_task(bench.broadcaster.step())
            await settle()
            loop.cancel()
            await asyncio.wait([loop])
        bench.channel.open.set()

        await bench.broadcaster.flush()

        assert bench.channel.seqs("a") == [[1], [1]]

    async def test_nobody_waits_for_long(self, bench: Bench) -> None:
        bench.channel.open.clear()
        with bench.begin("a"):
            bench.say("a")
        flushing = asyncio.create_task(bench.broadcaster.flush())
        await bench.clock.advance(1.9)
        assert not flushing.done()

        await bench.clock.advance(0.2)

        assert flushing.done()

    @pytest.mark.parametrize("verdict", ["later", "slower", "impossible"])
    async def test_what_is_not_taken_is_left(self, bench: Bench, verdict: Any) -> None:
        bench.channel.always = Answer(verdict, 1, 503)
        with bench.begin("a"):
            bench.say("a")

        await bench.broadcaster.flush()
        await bench.broadcaster.flush()

        assert len(bench.channel.sent) <= 2

    async def test_a_database_that_is_away_ends_it(self, bench: Bench) -> None:
        bench.log.failures = 9
        with bench.begin("a"):
            bench.say("a")

        await bench.broadcaster.flush()

        assert bench.channel.sent == []
