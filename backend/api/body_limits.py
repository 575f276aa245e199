"""How large a request's body may be, and how long it may take to arrive."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import refusal

_LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may take."""

    one_bytes: int = 1_000_000
    """One request's."""
    all_bytes: int = 64_000_000
    """What all requests together may hold before their routes are called."""
    arrival_s: float = 10.0
    """From the head to the last byte: whoever drips must not hold a place for ever."""


class WholeBodies:
    """Calls the app once the body is there, so that no route deals with half of one.

    A request without a body, such as a stream's, goes straight through. Nothing is done to answers.
    """

    def __init__(self, app: ASGIApp, *, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 408, 413 or 503."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            status = await self._read(scope, receive, body)
            if status is None:
                await self._app(scope, _Replay(bytes(body), receive), send)
            elif status:
                await _refuse(status, scope, receive, send)
        finally:
            self._held_bytes -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> int | None:
        # None: it is there. 0: the caller has gone. Else the status to refuse with.
        if int(Headers(scope=scope).get("content-length", 0)) > self._limits.one_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            async with asyncio.timeout(self._limits.arrival_s):
                return await self._collect(receive, body)
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT

    async def _collect(self, receive: Receive, body: bytearray) -> int | None:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return 0
            part = message.get("body", b"")
            if len(body) + len(part) > self._limits.one_bytes:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if self._held_bytes + len(part) > self._limits.all_bytes:
                return HTTPStatus.SERVICE_UNAVAILABLE
            body += part
            self._held_bytes += len(part)
            if not message.get("more_body", False):
                return None


class _Replay:
    """Hands over the body, then whatever else there is to receive."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _refuse(status: int, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"connection": "close"} | (
        {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    )

    async def send_open(message: Message) -> None:
        await send({**message, "more_body": True} if "body" in message else message)

    await refusal(status, headers)(scope, receive, send_open)
    if status != HTTPStatus.REQUEST_TIMEOUT:
        # A connection that is closed with unread bytes is reset, and many callers then lose the
        # answer: they get a moment to stop sending, or to come to the end.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
