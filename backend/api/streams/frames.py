"""Events in the form of server-sent events.

Source:
    WHATWG HTML, "Server-sent events": fields `id`, `event`, `data`, `retry`; comments begin with `:`.
"""

import pydantic_core

from backend.api.streams.subscription import End
from backend.domain.cursors import id_of
from backend.domain.json_values import JsonObject

HEARTBEAT = b": still here\n\n"
_RETRY_MS = 1_000


def event_frame(event: JsonObject) -> bytes:
    """Return the frame of a stored event: the same bytes whenever and by whomever it is sent."""
    return _frame(event, id_of(event))


def opened_frame(*, resumed: bool, last_event_id: str | None) -> bytes:
    """Return the first frame; its id is where a reader goes on that hears nothing else."""
    opened: JsonObject = {"type": "stream.opened", "resumed": resumed}
    return b"retry: %d\n" % _RETRY_MS + _frame(opened, last_event_id)


def closed_frame(end: End, *, retry_ms: int) -> bytes:
    """Return the last frame: why the stream ends, and when to come back."""
    return b"retry: %d\n" % retry_ms + _frame({"type": "stream.closed", "reason": end}, None)


def _frame(event: JsonObject, event_id: str | None) -> bytes:
    id_line = "" if event_id is None else f"id: {event_id}\n"
    data = pydantic_core.to_json(event).decode()
    return f"{id_line}event: {event['type']}\ndata: {data}\n\n".encode()
