"""The hub reads for all subscriptions at once, and whoever reads slowly costs it nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from backend.api.streams.hub import StreamHub
from backend.api.streams.subscription import Subscription
from backend.domain.ids import SessionId, UserId
from backend.domain.json_values import JsonObject
from backend.errors import DatabaseRejected, DatabaseUnavailable, TooManyRequests
from backend.ports.clock import Clock
from backend.ports.gateway import SERVICE, Identity
from backend.runs.event_source import EventSource, Opening, Page
from backend.runs.loops import repeat
from tests.support.manual_clock import ManualClock, settle

RUN = "00000000-0000-4000-8000-00000000000a"
EMPTY = Opening(resumed=True, last_event_id=f"{RUN}:0", page=Page((), more=False))


class Log:
    """Sessions and their events, which the hub reads as from the database."""

    def __init__(self) -> None:
        self.events: dict[str, list[JsonObject]] = {}
        self.reads: list[list[str]] = []
        self.failures = 0
        self.page = 500
        self.poison = ""

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        assert (function, identity) == ("engine.read_streams", SERVICE)
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("The database is away.")
        if any(cursor["session_id"] == self.poison for cursor in arguments["p_cursors"]):
            raise DatabaseRejected("Too large.", sqlstate="54000")
        self.reads.append([cursor["session_id"] for cursor in arguments["p_cursors"]])
        return [self._behind(cursor) for cursor in arguments["p_cursors"]]

    def say(self, session: str, count: int = 1) -> None:
        said = self.events.setdefault(session, [])
        first = len(said) + 1
        said.extend(
            {"run_id": RUN, "seq": seq, "type": "message.delta"}
            for seq in range(first, first + count)
        )

    def _behind(self, cursor: Mapping[str, Any]) -> Any:
        if cursor["session_id"] not in self.events:
            return None
        behind = self.events[cursor["session_id"]][cursor["after"] :]
        return {"events": behind[: self.page], "more": len(behind) > self.page}


class Scene:
    def __init__(self, clock: Clock) -> None:
        self.log = Log()
        self.hub = StreamHub(EventSource(self.log), clock, most=1000, most_per_user=300)
        self.stack = ExitStack()

    def reader(
        self, session: str, user: str = "user_ada", opening: Opening = EMPTY
    ) -> Subscription:
        self.log.events.setdefault(session, [])
        self.stack.callback(self.hub.reserve(UserId(user)).release)
        return self.stack.enter_context(self.hub.subscribe(SessionId(session), opening))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def scene(clock: ManualClock) -> AsyncIterator[Scene]:
    made = Scene(clock)
    loops = [
        asyncio.create_task(repeat(step, clock, name="test"))
        for step in (made.hub.step, made.hub.sweep)
    ]
    with made.stack:
        yield made
    for loop in loops:
        loop.cancel()


def seqs(events: Sequence[JsonObject]) -> list[Any]:
    return [event["seq"] for event in events]


async def test_a_hint_brings_what_is_new_to_every_reader_of_the_session(
    scene: Scene, clock: ManualClock
) -> None:
    readers = [scene.reader("a"), scene.reader("a"), scene.reader("b")]
    for reader in readers:
        assert reader.take() == ()
    await clock.advance(0.1)
    scene.log.reads.clear()

    scene.log.say("a", 2)
    scene.hub.hear("a")
    await settle()

    assert scene.log.reads == [["a", "a"]]
    assert [seqs(reader.take()) for reader in readers] == [[1, 2], [1, 2], []]


async def test_what_happened_between_the_opening_and_the_first_word_is_read(scene: Scene) -> None:
    reader = scene.reader("a")
    scene.log.say("a")

    assert reader.take() == ()
    await settle()

    assert seqs(reader.take()) == [1]


async def test_hints_that_come_together_are_one_read(scene: Scene, clock: ManualClock) -> None:
    readers = [scene.reader(f"s{number}") for number in range(250)]
    for reader in readers:
        reader.take()
    await clock.advance(0.1)
    scene.log.reads.clear()

    scene.hub.hear(",".join(f"s{number}" for number in range(250)))
    await clock.advance(0.1)

    assert [len(read) for read in scene.log.reads] == [50] * 5


async def test_a_reader_that_takes_nothing_is_not_read_for(
    scene: Scene, clock: ManualClock
) -> None:
    reader = scene.reader("a")
    reader.take()
    scene.log.say("a")
    await clock.advance(0.1)
    scene.hub.hear("a")
    await clock.advance(0.1)
    scene.log.reads.clear()

    scene.log.say("a", 3)
    for _ in range(5):
        scene.hub.hear("a")
        await clock.advance(0.1)
    assert scene.log.reads == []

    assert seqs(reader.take()) == [1]
    await settle()
    assert seqs(reader.take()) == [2, 3, 4]


async def test_a_long_backlog_comes_page_by_page(scene: Scene, clock: ManualClock) -> None:
    scene.log.page = 10
    scene.log.say("a", 25)
    reader = scene.reader("a")

    pages = []
    for _ in range(4):
        pages.append(len(reader.take()))
        await clock.advance(0.1)

    assert pages == [0, 10, 10, 5]


async def test_a_database_that_is_away_delays_the_words_and_loses_none(
    scene: Scene, clock: ManualClock
) -> None:
    reader = scene.reader("a")
    reader.take()
    await clock.advance(0.1)
    scene.log.failures = 3
    scene.log.say("a", 2)

    scene.hub.hear("a")
    await clock.advance(2)

    assert (seqs(reader.take()), reader.end) == ([1, 2], None)


async def test_a_session_that_cannot_be_read_ends_its_own_streams_and_no_others(
    scene: Scene, clock: ManualClock
) -> None:
    readers = [scene.reader(f"s{number}") for number in range(7)]
    for reader in readers:
        reader.take()
    await clock.advance(0.1)
    scene.log.poison = "s3"
    for number in range(7):
        scene.log.say(f"s{number}")

    scene.hub.hear("")
    await clock.advance(0.1)

    assert [reader.end for reader in readers] == [None] * 3 + ["failed"] + [None] * 3
    assert [seqs(reader.take()) for reader in readers] == [[1]] * 3 + [[]] + [[1]] * 3


async def test_who_has_heard_the_end_of_a_run_stands_behind_the_whole_run(scene: Scene) -> None:
    page = Page(({"run_id": RUN, "seq": 4, "type": "run.failed"},), more=False)

    reader = scene.reader("a", opening=Opening(resumed=True, last_event_id=None, page=page))

    assert reader.cursor.after == 2_147_483_647


async def test_who_hears_again_need_not_ask_often(scene: Scene, clock: ManualClock) -> None:
    scene.hub.go_deaf()
    scene.hub.hear("")
    reader = scene.reader("a")
    reader.take()
    await clock.advance(0.3)
    scene.log.say("a")

    await clock.advance(0.3)

    assert seqs(reader.take()) == []


async def test_a_lost_hint_is_made_up_for(scene: Scene, clock: ManualClock) -> None:
    reader = scene.reader("a")
    reader.take()
    await clock.advance(0.1)
    scene.log.say("a")

    await clock.advance(5.1)

    assert seqs(reader.take()) == [1]


async def test_who_cannot_listen_asks_often(scene: Scene, clock: ManualClock) -> None:
    scene.hub.go_deaf()
    reader = scene.reader("a")
    reader.take()
    await clock.advance(5.1)
    scene.log.say("a")

    await clock.advance(0.3)

    assert seqs(reader.take()) == [1]


async def test_a_gap_in_the_hints_makes_everybody_look(scene: Scene, clock: ManualClock) -> None:
    readers = [scene.reader("a"), scene.reader("b")]
    for reader in readers:
        reader.take()
    await clock.advance(0.1)
    for session in ("a", "b"):
        scene.log.say(session)

    scene.hub.hear("")
    await settle()

    assert [seqs(reader.take()) for reader in readers] == [[1], [1]]


async def test_a_session_that_is_gone_ends_its_streams(scene: Scene, clock: ManualClock) -> None:
    reader = scene.reader("a")
    reader.take()
    await clock.advance(0.1)
    del scene.log.events["a"]

    scene.hub.hear("a")
    await settle()

    assert reader.end == "gone"


async def test_what_was_delivered_is_taken_before_the_end(scene: Scene) -> None:
    page = Page(({"run_id": RUN, "seq": 1, "type": "run.started"},), more=False)
    reader = scene.reader("a", opening=Opening(resumed=True, last_event_id=None, page=page))

    scene.hub.close("shutdown")

    assert (seqs(reader.take()), reader.end, reader.changed.is_set()) == ([1], "shutdown", True)


async def test_a_stream_that_is_opened_while_the_service_stops_ends_at_once(scene: Scene) -> None:
    scene.hub.close("shutdown")

    assert scene.reader("a").end == "shutdown"


async def test_hints_for_sessions_that_nobody_reads_cost_nothing(
    scene: Scene, clock: ManualClock
) -> None:
    with scene.hub.subscribe(SessionId("a"), EMPTY) as reader:
        reader.take()
    scene.hub.hear("a,b,c")
    await clock.advance(0.1)

    assert (scene.log.reads, len(scene.hub)) == ([], 0)


async def test_a_user_opens_no_more_streams_than_allowed(scene: Scene) -> None:
    for number in range(300):
        scene.reader(f"s{number}", "user_bob")

    with pytest.raises(TooManyRequests):
        scene.hub.reserve(UserId("user_bob"))
    scene.hub.reserve(UserId("user_ada"))
    scene.stack.close()
    scene.hub.reserve(UserId("user_bob"))


async def test_a_process_opens_no_more_streams_than_it_can(scene: Scene) -> None:
    for number in range(1000):
        scene.reader(f"s{number}", f"user_{number}")

    with pytest.raises(TooManyRequests):
        scene.reader("one_more", "user_ada")
    assert len(scene.hub) == 1000
