"""An answer that goes on until the reader, the token, the session or the service ends it."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.api.streams.frames import HEARTBEAT, closed_frame, event_frame, opened_frame
from backend.api.streams.hub import Place, StreamHub
from backend.api.streams.subscription import Subscription
from backend.domain.ids import SessionId
from backend.ports.clock import Clock
from backend.runs.event_source import Opening

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    # nginx would collect what it should pass on.
    "x-accel-buffering": "no",
}
_RETRY_MS = (500, 2_500)
_STALLED_S = 10.0
_LAST_WORD_S = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader of one session."""

    session_id: SessionId
    opening: Opening
    """Where the stream starts."""
    place: Place
    """Released at the end."""
    ends_at: float
    """When the reader has to show a fresh token, on the clock's monotonic scale."""


class EventStream(Response):
    """Server-sent events of one session."""

    def __init__(
        self, hub: StreamHub, clock: Clock, reading: Reading, *, heartbeat_s: float
    ) -> None:
        """Nothing is sent yet.

        Args:
            hub: Keeps the stream up to date.
            clock: For heartbeats and the end.
            reading: Who reads what, and until when.
            heartbeat_s: A silent stream says so often that it lives.
        """
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._hub = hub
        self._clock = clock
        self._reading = reading
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end."""
        try:
            with self._hub.subscribe(
                self._reading.session_id, self._reading.opening
            ) as subscription:
                watching = asyncio.create_task(_watch(receive, subscription))
                try:
                    await self._stream(subscription, _Line(scope, send, subscription))
                finally:
                    watching.cancel()
        finally:
            self._reading.place.release()

    async def _stream(self, subscription: Subscription, line: "_Line") -> None:
        await line.begin(self.status_code, self.raw_headers)
        opening = self._reading.opening
        said = opened_frame(resumed=opening.resumed, last_event_id=opening.last_event_id)
        while subscription.end != "hung_up":
            if self._left_s() <= 0:
                subscription.close("reauth")
            said += b"".join(map(event_frame, subscription.take()))
            if subscription.end:
                retry_ms = int(_RETRY_MS[0] + self._clock.random() * _RETRY_MS[1])
                said += closed_frame(subscription.end, retry_ms=retry_ms)
                await line.say(said, more=False)
                return
            if said:
                await line.say(said, more=True)
            said = await self._wait(subscription)

    async def _wait(self, subscription: Subscription) -> bytes:
        """Return what to say before anything else: a heartbeat, where nothing happened."""
        wait_s = max(0.0, min(self._heartbeat_s, self._left_s()))
        return b"" if await self._clock.wait(subscription.changed, wait_s) else HEARTBEAT

    def _left_s(self) -> float:
        return self._reading.ends_at - self._clock.monotonic()


class _Line:
    """The way to one reader, who is given up when nothing gets through."""

    def __init__(self, scope: Scope, send: Send, subscription: Subscription) -> None:
        self._send = send
        self._subscription = subscription
        # Of our server's connections: a reader who takes nothing does not take the end either.
        self._abort: Callable[[], None] = scope.get("abort", lambda: None)

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The reader has the head of the answer."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def say(self, body: bytes, *, more: bool) -> None:
        """The reader has this, or as much is on its way as the line takes.

        Raises:
            ClientDisconnect: The line took nothing for too long; the connection is gone.
        """
        loop = asyncio.get_running_loop()
        try:
            # On the loop's own time: it ends a call that hangs, and decides nothing else.
            async with asyncio.timeout(_STALLED_S) as limit:
                self._subscription.on_close = lambda: limit.reschedule(
                    min(limit.when() or 0.0, loop.time() + _LAST_WORD_S)
                )
                try:
                    await self._send(
                        {"type": "http.response.body", "body": body, "more_body": more}
                    )
                finally:
                    self._subscription.on_close = lambda: None
        except TimeoutError:
            self._abort()
            raise ClientDisconnect from None


async def _watch(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.close("hung_up")
