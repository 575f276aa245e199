"""One reader's share of a session's events."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from backend.domain.cursors import behind
from backend.domain.ids import SessionId
from backend.domain.json_values import JsonObject
from backend.runs.event_source import Opening, Page

End: TypeAlias = Literal["reauth", "shutdown", "gone", "failed", "hung_up"]
"""Why a stream ends: the token has, the service does, the session is gone, it cannot be read, nobody
listens."""


class Subscription:
    """Holds one page at most: who reads slowly costs no memory, the rest waits in the database."""

    def __init__(
        self,
        session_id: SessionId,
        opening: Opening,
        ask: Callable[["Subscription"], None],
    ) -> None:
        """The first page waits to be taken.

        Args:
            session_id: The session that is read.
            opening: Where the stream starts.
            ask: Called when the next page is wanted.
        """
        self.session_id = session_id
        self.opening = opening
        self.cursor = opening.cursor
        self.end: End | None = None
        self.changed = asyncio.Event()
        self.on_close: Callable[[], None] = lambda: None
        self._ask = ask
        self._page: Sequence[JsonObject] = ()
        # What happened between the reading of the first page and now went unheard.
        self._more = True
        self.deliver(opening.page)

    def has_room(self) -> bool:
        """Return whether a page can be delivered; if not now, it is asked for after `take`."""
        self._more = self._more or bool(self._page)
        return not self._page and self.end is None

    def deliver(self, page: Page | None) -> None:
        """The reader has this page next; None: the session is gone."""
        if page is None:
            self.close("gone")
        elif page.events:
            self._page = page.events
            self._more = self._more or page.more
            self.cursor = behind(page.events[-1])
            self.changed.set()

    def take(self) -> Sequence[JsonObject]:
        """Return what has not been sent yet, and ask for what comes behind it."""
        self.changed.clear()
        page, self._page = self._page, ()
        if self._more:
            self._more = False
            self._ask(self)
        if self.end:
            self.changed.set()
        return page

    def close(self, end: End) -> None:
        """The stream ends once the reader has what was delivered; the first reason holds."""
        self.end = self.end or end
        self.changed.set()
        self.on_close()
