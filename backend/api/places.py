"""How many requests are answered at a time."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import refusal
from backend.api.health import PROBES

_STREAM = (b"content-type", b"text/event-stream")


class Places:
    """Refuses with 503 what would wait in line; streams give their place back as they begin."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._free = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer where a place is free, else refuse at once."""
        # A probe that is refused would have the process killed for being busy.
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        if self._free <= 0:
            await refusal(503, {"retry-after": "1"})(scope, receive, send)
            return
        taken = 1
        self._free -= 1

        async def send_noted(message: Message) -> None:
            nonlocal taken
            if taken and _begins_stream(message):
                taken = 0
                self._free += 1
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            self._free += taken


def _begins_stream(message: Message) -> bool:
    headers = message.get("headers", ())
    return any(
        name.lower() == _STREAM[0] and value.startswith(_STREAM[1]) for name, value in headers
    )
