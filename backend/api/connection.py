"""One connection, as uvicorn's, except for what is said to those who speak no HTTP."""

import asyncio
from collections.abc import Callable
from functools import partial

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.api.descriptors import most_connections
from backend.api.errors import refusal
from backend.api.request_ids import REQUEST_ID
from backend.api.security_headers import SECURITY_HEADERS
from backend.ports.clock import SystemClock


class Connection(H11Protocol):
    """Speaks HTTP/1.1 by h11, which bounds the size of a request's head."""

    # Uvicorn narrows the type of the transport as well, and tells mypy so by the same words.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or make room for it: an idle one goes first."""
        super().connection_made(transport)
        # Streams give up readers who take nothing.
        self.app = partial(_with_abort, self.app, transport.abort)
        if len(self.connections) > most_connections():
            others = (it for it in self.connections if it is not self)
            idle = (it for it in others if isinstance(it, Connection) and it.is_idle)
            next(idle, self).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits_for_head(self) -> bool:
        """Whether a request should be on its way, and nothing bounds how long that may take."""
        return self.is_idle and self.timeout_keep_alive_task is None

    def send_400_response(self, msg: str) -> None:
        """Answer in our shape, and close; the message is h11's and stays here."""
        del msg
        if not self.is_idle and self.cycle.response_started:
            # Rubbish behind a request that is being answered: there is room for one answer only.
            self.transport.close()
            return
        request_id = SystemClock().new_id()
        with bound_contextvars(request_id=request_id):
            answer = refusal(400, {"connection": "close"})
        named = (REQUEST_ID, request_id.encode())
        headers = [*answer.raw_headers, named, *SECURITY_HEADERS]
        head = h11.Response(status_code=answer.status_code, headers=headers)
        for event in (head, h11.Data(data=bytes(answer.body))):
            self.transport.write(self.conn.send(event) or b"")
        self.conn.send(h11.EndOfMessage())
        self.transport.close()


async def _with_abort(
    app: ASGIApp, abort: Callable[[], None], scope: Scope, receive: Receive, send: Send
) -> None:
    await app({**scope, "abort": abort}, receive, send)
