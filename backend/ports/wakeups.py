"""Wake-ups: hints from the database that there is something to do."""

from collections.abc import Callable
from typing import Protocol

GAP = ""
"""Anything may have been missed."""
CANCEL = "cancel:"
"""Before a run's id: somebody cancels it. All else that a worker hears means that a run is ready;
it may be skipped, doubled or false, and polling finds what it misses."""


class Wakeups(Protocol):
    """A source of hints."""

    async def deliver(
        self, wake: Callable[[str], None], deaf: Callable[[], None] = lambda: None
    ) -> None:
        """Call `wake` with each payload, until cancelled or until no hints can be had.

        Where hints cannot be heard for now, `deaf` is called.
        After each gap in listening `wake` gets GAP.
        """
        ...
