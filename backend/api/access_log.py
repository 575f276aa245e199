"""One line of the log for each answer: its route, never what stood in the address."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.health import PROBES
from backend.ports.clock import Clock
from backend.telemetry.names import HTTP_ANSWERED

_log = structlog.get_logger()
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNANSWERED = 499
"""Nginx's number for a caller who went away before the answer began."""


class AccessLog:
    """Says what was answered, and after how long; for a stream, once it has ended."""

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock.monotonic()
        status = _UNANSWERED

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            # Load balancers ask all day long.
            write = _log.debug if scope["path"] in PROBES else _log.info
            write(
                HTTP_ANSWERED,
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=getattr(scope.get("route"), "path", None),
                status=status,
                ms=round((self._clock.monotonic() - began) * 1000, 1),
            )
