"""The broadcaster sends what runs say about ten times a second, and stands in nobody's way."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.domain.ids import RunId, SessionId
from backend.domain.runs import Claim
from backend.errors import DatabaseUnavailable
from backend.ports.broadcasts import Answer, Batch
from backend.ports.gateway import SERVICE, Identity
from backend.runs.broadcast_pace import ASLEEP_S, TICK_S
from backend.runs.broadcaster import KEPT_S, Broadcaster
from backend.runs.event_source import EventSource
from backend.runs.loops import repeat
from tests.support.manual_clock import ManualClock, settle


def claim(session: str, next_seq: int = 1) -> Claim:
    run = RunId(f"00000000-0000-4000-8000-{int(session.encode().hex(), 16):012}")
    return Claim(run, SessionId(session), "offline:demo", 1, next_seq, 0, None)


class Log:
    """Sessions and their events, read as from the database."""

    def __init__(self) -> None:
        self.said: dict[str, list[Any]] = {}
        self.reads: list[int] = []
        self.failures = 0
        self.page = 500

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        assert (function, identity) == ("engine.read_streams", SERVICE)
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("The database is away.")
        self.reads.append(len(arguments["p_cursors"]))
        return [self._behind(cursor) for cursor in arguments["p_cursors"]]

    def _behind(self, cursor: Mapping[str, Any]) -> Any:
        if cursor["session_id"] not in self.said:
            return None
        behind = self.said[cursor["session_id"]][cursor["after"] :]
        return {"events": behind[: self.page], "more": len(behind) > self.page}


class Channel:
    """Takes everything, or answers as it is told."""

    def __init__(self) -> None:
        self.sent: list[Batch] = []
        self.answers: list[Answer] = []
        self.always: Answer | None = None
        self.poison: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, batch: Batch) -> Answer:
        self.sent.append(batch)
        await self.open.wait()
        if any(session in self.poison for session, _ in batch):
            return Answer("refused", len(batch), 422)
        if self.answers:
            return self.answers.pop(0)
        return self.always or Answer("taken", len(batch), 202)

    def seqs(self, session: str) -> list[list[Any]]:
        """Return the numbers of the session's events, message by message."""
        return [
            [event["seq"] for event in events]
            for batch in self.sent
            for name, events in batch
            if name == session
        ]


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.channel = Channel()
        self.broadcaster = Broadcaster(EventSource(self.log), self.channel, self.clock)
        self._held: list[ExitStack] = []

    def begin(self, *sessions: str, next_seq: int = 1) -> ExitStack:
        """Return what ends the runs that begin here."""
        stack = ExitStack()
        for session in sessions:
            self.log.said.setdefault(session, [])
            stack.enter_context(self.broadcaster.follow(claim(session, next_seq)))
        self._held.append(stack)
        return stack

    def say(self, session: str, count: int = 1) -> None:
        said = self.log.said[session]
        for seq in range(len(said) + 1, len(said) + 1 + count):
            said.append({"run_id": claim(session).run_id, "seq": seq, "type": "message.delta"})
        self.broadcaster.hear(session)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    loop = asyncio.create_task(repeat(made.broadcaster.step, made.clock, name="broadcast"))
    yield made
    loop.cancel()


def names(number: int) -> Iterable[str]:
    return [f"s{at}" for at in range(number)]


async def test_the_first_word_goes_out_at_once(bench: Bench) -> None:
    bench.begin("a")

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1]]


async def test_a_session_is_sent_ten_times_a_second_however_often_it_speaks(bench: Bench) -> None:
    bench.begin("a")
    for _ in range(100):
        bench.say("a")
        await bench.clock.advance(0.01)
    await bench.clock.advance(TICK_S)

    sent = bench.channel.seqs("a")
    assert len(sent) == 11
    assert [seq for message in sent for seq in message] == list(range(1, 101))


async def test_many_sessions_are_one_read_and_one_batch(bench: Bench) -> None:
    bench.begin(*names(40))
    await settle()

    for session in names(40):
        bench.say(session)
    await settle()

    assert (bench.log.reads, [len(batch) for batch in bench.channel.sent]) == ([40], [40])


async def test_all_sessions_have_their_turn_when_they_are_more_than_a_batch(bench: Bench) -> None:
    bench.begin(*names(120))
    for session in names(120):
        bench.say(session)
    await bench.clock.advance(5)

    assert [len(batch) for batch in bench.channel.sent] == [50, 50, 20]
    assert all(bench.channel.seqs(session) == [[1]] for session in names(120))


async def test_the_more_sessions_speak_the_more_each_message_carries(bench: Bench) -> None:
    bench.begin(*names(50))
    for _ in range(100):
        for session in names(50):
            bench.say(session)
        await bench.clock.advance(0.1)

    messages = sum(len(batch) for batch in bench.channel.sent)
    assert 450 <= messages <= 600
    await bench.clock.advance(1)
    assert [seq for message in bench.channel.seqs("s0") for seq in message] == list(range(1, 101))


async def test_what_was_said_before_the_claim_is_not_sent_again(bench: Bench) -> None:
    bench.begin("a").close()
    bench.say("a", 5)
    bench.begin("a", next_seq=6)

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[6]]


async def test_a_session_that_nobody_here_works_for_is_not_read(bench: Bench) -> None:
    bench.log.said["a"] = []
    bench.say("a")
    await bench.clock.advance(1)

    assert bench.log.reads == []


async def test_the_last_word_is_sent_after_the_run_has_ended_and_then_forgotten(
    bench: Bench,
) -> None:
    with bench.begin("a"):
        bench.say("a")
        await settle()
        bench.say("a")
    assert bench.broadcaster.sessions == 1

    await bench.clock.advance(TICK_S)

    assert bench.channel.seqs("a") == [[1], [2]]
    assert bench.broadcaster.sessions == 0


async def test_a_run_that_ends_while_its_words_are_on_their_way_is_not_forgotten_too_early(
    bench: Bench,
) -> None:
    bench.channel.open.clear()
    bench.channel.answers = [Answer("later", 1, 503)]
    with bench.begin("a"):
        bench.say("a")
        await settle()
    bench.channel.open.set()
    await bench.clock.advance(2)

    assert bench.channel.seqs("a") == [[1], [1]]
    assert bench.broadcaster.sessions == 0


async def test_a_session_with_nothing_to_say_is_forgotten_at_the_end_of_its_run(
    bench: Bench,
) -> None:
    bench.begin("a").close()

    assert bench.broadcaster.sessions == 0


async def test_a_silent_run_is_followed_however_long_its_model_thinks(bench: Bench) -> None:
    bench.begin("a")
    bench.say("a")
    await bench.clock.advance(3600)

    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1], [2]]


async def test_the_next_run_of_a_session_follows_on_without_a_gap(bench: Bench) -> None:
    bench.channel.open.clear()
    first = bench.begin("a")
    bench.say("a")
    await settle()
    bench.say("a")
    first.close()
    with bench.begin("a", next_seq=3):
        bench.say("a")
        bench.channel.open.set()
        await bench.clock.advance(1)

    assert bench.channel.seqs("a") == [[1], [2, 3]]


async def test_the_end_of_one_run_does_not_end_the_following_of_the_next(bench: Bench) -> None:
    first, second = bench.begin("a"), bench.begin("a")
    first.close()
    bench.say("a")
    await settle()

    assert bench.channel.seqs("a") == [[1]]
    second.close()
    assert bench.broadcaster.sessions == 0


async def test_hints_for_what_was_sent_already_cost_ten_reads_a_second(bench: Bench) -> None:
    bench.begin("a")
    bench.say("a")
    for _ in range(100):
        bench.broadcaster.hear("a")
        await bench.clock.advance(0.01)

    assert len(bench.log.reads) <= 11


async def test_a_long_page_is_sent_to_its_end(bench: Bench) -> None:
    bench.log.page = 10
    bench.begin("a")
    bench.say("a", 25)
    await bench.clock.advance(1)

    assert [len(message) for message in bench.channel.seqs("a")] == [10, 10, 5]


async def test_a_page_that_is_full_when_the_run_has_ended_is_not_the_last(bench: Bench) -> None:
    bench.log.page = 10
    with bench.begin("a"):
        bench.say("a", 25)
    await bench.clock.advance(1)

    assert [len(message) for message in bench.channel.seqs("a")] == [10, 10, 5]
    assert bench.broadcaster.sessions == 0


async def test_a_session_that_is_gone_is_forgotten(bench: Bench) -> None:
    with bench.begin("a", "b"):
        del bench.log.said["a"]
        bench.say("b")
        bench.broadcaster.hear("a")
    await bench.clock.advance(1)

    assert (bench.channel.seqs("b"), bench.broadcaster.sessions) == ([[1]], 0)


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
