"""One connection, as uvicorn's, except for what is said to those who speak no HTTP."""

import h11
from structlog.contextvars import bound_contextvars
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.api.errors import refusal
from backend.api.request_ids import REQUEST_ID
from backend.api.security_headers import SECURITY_HEADERS
from backend.ports.clock import SystemClock


class Connection(H11Protocol):
    """Speaks HTTP/1.1 by h11, which bounds the size of a request's head."""

    @property
    def waits_for_head(self) -> bool:
        """Whether a request should be on its way, and nothing bounds how long that may take."""
        idle = self.cycle is None or self.cycle.response_complete
        return idle and self.timeout_keep_alive_task is None

    def send_400_response(self, msg: str) -> None:
        """Answer in our shape, and close; the message is h11's and stays here."""
        del msg
        if self.cycle is not None and not self.cycle.response_complete:
            # Its body is broken: whoever works on it learns that the caller has gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
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
