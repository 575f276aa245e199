"""`GET /sessions/{session_id}/events`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.bearer import signed_in
from backend.api.streams.hub import StreamHub
from backend.api.streams.response import EventStream, Reading
from backend.domain.cursors import cursor_of
from backend.domain.ids import SessionId
from backend.errors import NotFound
from backend.ports.clock import Clock
from backend.ports.identity import TokenVerifier
from backend.runs.event_source import EventSource

_OUTLIVES_TOKEN_S = 5.0


@dataclass(frozen=True, slots=True)
class StreamParts:
    """What the streams are made of."""

    hub: StreamHub
    source: EventSource
    verifier: TokenVerifier
    clock: Clock
    heartbeat_s: float
    now_s: Callable[[], float] = time.time
    """Unix seconds, as tokens count them."""


def stream_routes(parts: StreamParts) -> APIRouter:
    """Return the route of a session's events."""
    routes = APIRouter(tags=["sessions"])

    @routes.get(
        "/sessions/{session_id}/events",
        response_class=Response,
        responses={
            200: {
                "description": "Server-sent events; `stream.opened` first, `stream.closed` last.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def events(session_id: str, request: Request) -> Response:
        """Stream what the session's runs say, from the oldest open run on or behind Last-Event-ID."""
        reader = await signed_in(request, parts.verifier)
        last_event_id = request.headers.get("last-event-id") or None
        cursor_of(last_event_id)
        session = _session_id(session_id)
        place = parts.hub.reserve(reader.user_id)
        try:
            opening = await parts.source.open(session, reader, last_event_id)
        except BaseException:
            place.release()
            raise
        left_s = reader.expires_at_s - parts.now_s()
        ends_at = parts.clock.monotonic() + left_s + _OUTLIVES_TOKEN_S
        reading = Reading(session, opening, place, ends_at)
        return EventStream(parts.hub, parts.clock, reading, heartbeat_s=parts.heartbeat_s)

    return routes


def _session_id(text: str) -> SessionId:
    try:
        return SessionId(str(UUID(text)))
    except ValueError:
        # As for one that is not there.
        raise NotFound("There is no such session, or it is not yours.") from None
