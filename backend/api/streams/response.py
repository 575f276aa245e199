"""An answer that goes on until the reader, the token, the session or the service ends it."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.api.streams.frames import HEARTBEAT, closed_frame, event_frame, opened_frame
from backend.api.streams.hub import StreamHub
from backend.api.streams.subscription import Subscription
from backend.domain.ids import SessionId, UserId
from backend.ports.clock import Clock
from backend.runs.event_source import Opening

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    # nginx would collect what it should pass on.
    "x-accel-buffering": "no",
}
_RETRY_MS = (500, 2_500)


class EventStream(Response):
    """Server-sent events of one session."""

    def __init__(
        self,
        hub: StreamHub,
        clock: Clock,
        opening: Opening,
        *,
        reader: tuple[SessionId, UserId],
        ends_at: float,
        heartbeat_s: float,
    ) -> None:
        """Nothing is sent yet.

        Args:
            hub: Keeps the stream up to date.
            clock: For heartbeats and the end.
            opening: Where the stream starts.
            reader: The session, and who reads it.
            ends_at: When the reader has to show a fresh token, on the clock's monotonic scale.
            heartbeat_s: A silent stream says so often that it lives.
        """
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._hub = hub
        self._clock = clock
        self._opening = opening
        self._reader = reader
        self._ends_at = ends_at
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Stream until the end."""
        with self._hub.subscribe(*self._reader, self._opening) as subscription:
            watching = asyncio.create_task(_watch(receive, subscription))
            try:
                await send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                await self._speak(subscription, send)
            finally:
                watching.cancel()

    async def _speak(self, subscription: Subscription, send: Send) -> None:
        opening = self._opening
        said = opened_frame(resumed=opening.resumed, last_event_id=opening.last_event_id)
        while subscription.end != "hung_up":
            said += b"".join(map(event_frame, subscription.take()))
            if subscription.end:
                retry_ms = int(_RETRY_MS[0] + self._clock.random() * _RETRY_MS[1])
                said += closed_frame(subscription.end, retry_ms=retry_ms)
                await _send(send, said, more=False)
                return
            if said:
                await _send(send, said, more=True)
            said = await self._wait(subscription)

    async def _wait(self, subscription: Subscription) -> bytes:
        """Return what to say before anything else: a heartbeat, where nothing happened."""
        left_s = self._ends_at - self._clock.monotonic()
        if left_s <= 0:
            subscription.close("reauth")
        elif not await self._clock.wait(subscription.changed, min(self._heartbeat_s, left_s)):
            return HEARTBEAT
        return b""


async def _watch(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.close("hung_up")


async def _send(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
