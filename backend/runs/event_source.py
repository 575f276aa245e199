"""Where events come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.domain.cursors import Cursor, cursor_of
from backend.domain.identity import SignedIn
from backend.domain.ids import SessionId
from backend.domain.json_values import JsonObject
from backend.errors import NotFound
from backend.ports.gateway import Caller, Gateway


@dataclass(frozen=True, slots=True)
class Page:
    """What lies behind a cursor."""

    events: Sequence[JsonObject]
    more: bool
    """There is another page behind this one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a new reader starts."""

    resumed: bool
    """Its last event is known; else it starts at the oldest open run and reads the rows again."""
    last_event_id: str | None
    page: Page

    @property
    def cursor(self) -> Cursor:
        """Return the place before the first event."""
        return cursor_of(self.last_event_id)


class EventSource:
    """Reads events; only `open` checks whose they are."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def open(
        self, session_id: SessionId, reader: SignedIn, last_event_id: str | None
    ) -> Opening:
        """Return the start of the session's stream, as row-level security lets this reader see it.

        Raises:
            NotFound: The session is somebody else's or does not exist; the two look the same.
        """
        arguments = {"p_session_id": session_id, "p_last_event_id": last_event_id}
        found = await self._gateway.call(
            "public.read_stream", arguments, identity=Caller(reader.claims, reader.token or None)
        )
        if found is None:
            raise NotFound("There is no such session, or it is not yours.")
        return Opening(found["resumed"], found["last_event_id"], _page(found))

    async def read(self, cursors: Sequence[tuple[SessionId, Cursor]]) -> list[Page | None]:
        """Return what lies behind each cursor, in their order; None where the session is gone."""
        given = [
            {"session_id": session_id, "run_id": cursor.run_id, "after": cursor.after}
            for session_id, cursor in cursors
        ]
        pages = await self._gateway.call("engine.read_streams", {"p_cursors": given})
        return [None if page is None else _page(page) for page in pages]


def _page(found: Any) -> Page:
    return Page(found["events"], found["more"])
