"""A broadcaster between a log and a channel that do as a test says, by a clock of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from backend.domain.ids import RunId, SessionId
from backend.domain.runs import Claim
from backend.errors import DatabaseUnavailable
from backend.ports.broadcasts import Answer, Batch
from backend.ports.gateway import SERVICE, Identity
from backend.runs.broadcaster import Broadcaster
from backend.runs.event_source import EventSource
from backend.runs.loops import repeat
from tests.support.manual_clock import ManualClock


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
