"""Sends what runs say to browsers that follow their sessions by another service than ours."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from backend.domain.cursors import Cursor, behind
from backend.domain.ids import SessionId
from backend.domain.runs import Claim
from backend.errors import AssistantsError
from backend.ports.broadcasts import BroadcastChannel
from backend.ports.clock import Clock
from backend.runs.broadcast_pace import BroadcastPace
from backend.runs.event_source import EventSource, Page

KEPT_S = 15.0
_SESSIONS = 50
_FLUSH_S = 2.0


@dataclass(slots=True, eq=False)
class _Followed:
    session_id: SessionId
    cursor: Cursor
    """Everything up to here was sent."""
    runs: int = 0
    """In our hands."""
    until: float = 0.0
    """What could not be sent until then is given up, once no run is in our hands."""


_Read: TypeAlias = Sequence[tuple[_Followed, Page | None]]


class Broadcaster:
    """Reads behind a cursor for each session, so what could not be sent is there the next time.

    Browsers may miss some and get some twice: the numbers of the events tell them.
    """

    def __init__(
        self,
        source: EventSource,
        channel: BroadcastChannel,
        clock: Clock,
        *,
        messages_per_s: float = 50.0,
    ) -> None:
        """Nothing is followed yet.

        Args:
            source: Of the events.
            channel: Takes them.
            clock: Spaces the batches.
            messages_per_s: Of this process; a project's limit counts each receiver as well.
        """
        self._source = source
        self._channel = channel
        self._clock = clock
        self._pace = BroadcastPace(clock, messages_per_s=messages_per_s)
        self._followed: dict[SessionId, _Followed] = {}
        self._asking: dict[SessionId, _Followed] = {}
        self._sending: list[_Followed] = []
        self._asked = asyncio.Event()

    @property
    def sessions(self) -> int:
        """Return how many sessions are followed."""
        return len(self._followed)

    @contextmanager
    def follow(self, claim: Claim) -> Iterator[None]:
        """Inside, what the run says is sent on; afterwards only what waits."""
        session = claim.session_id
        made = _Followed(session, Cursor(claim.run_id, claim.next_seq - 1))
        followed = self._followed.setdefault(session, made)
        followed.runs += 1
        try:
            yield
        finally:
            followed.runs -= 1
            followed.until = self._clock.monotonic() + KEPT_S
            self._forget(followed)

    def hear(self, session_id: str) -> None:
        """The session has new events."""
        followed = self._followed.get(SessionId(session_id))
        if followed is not None:
            self._ask(followed)

    async def step(self) -> None:
        """Wait for something to send and for its time, then send one batch."""
        await self._asked.wait()
        await self._pace.wait()
        await self._send()

    async def flush(self) -> None:
        """Send what waits, unless it takes long or is not taken."""
        over = asyncio.Event()
        sending = asyncio.create_task(self._send_all())
        sending.add_done_callback(lambda _: over.set())
        try:
            await self._clock.wait(over, _FLUSH_S)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, AssistantsError):
                await sending

    async def _send_all(self) -> None:
        while self._asking and not self._pace.is_failing and await self._send():
            pass

    async def _send(self) -> bool:
        """Return whether what was read was taken; if not, it is read again."""
        is_taken = False
        self._sending = self._take()
        try:
            cursors = [(it.session_id, it.cursor) for it in self._sending]
            pages = await self._source.read(cursors) if cursors else []
            is_taken = await self._post(list(zip(self._sending, pages, strict=True)))
        finally:
            sent, self._sending = self._sending, []
            for followed in sent:
                if not is_taken:
                    self._ask(followed)
                self._forget(followed)
        return is_taken

    def _take(self) -> list[_Followed]:
        """Return sessions that ask, the longest waiting first, without those that are given up."""
        self._asked.clear()
        taken = list(self._asking.values())[:_SESSIONS]
        for followed in taken:
            del self._asking[followed.session_id]
        if self._asking:
            self._asked.set()
        now = self._clock.monotonic()
        for followed in taken:
            if not followed.runs and followed.until <= now:
                self._forget(followed)
        return [it for it in taken if self._followed.get(it.session_id) is it]

    async def _post(self, read: _Read) -> bool:
        news = [(it.session_id, page.events) for it, page in read if page and page.events]
        if not news:
            self._pace.rest()
            return True
        answer = await self._channel.send(news)
        if answer.verdict == "refused" and len(read) > 1:
            # One session's events must not keep the others silent.
            return all([await self._post([one]) for one in read])
        self._pace.note(answer)
        if answer.verdict not in ("taken", "refused"):
            return False
        for followed, page in read:
            if page and page.events:
                followed.cursor = behind(page.events[-1])
                if page.more:
                    self._ask(followed)
        return True

    def _ask(self, followed: _Followed) -> None:
        self._asking[followed.session_id] = followed
        self._asked.set()

    def _forget(self, followed: _Followed) -> None:
        """The session is followed no more, unless there is something to send in time."""
        if followed.runs or followed in self._sending:
            return
        if followed.session_id in self._asking and self._pace.next_at < followed.until:
            return
        self._asking.pop(followed.session_id, None)
        self._followed.pop(followed.session_id, None)
