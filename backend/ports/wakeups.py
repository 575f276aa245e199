"""Wake-ups: hints from the database that there is something to do."""

from collections.abc import Callable
from typing import Protocol

RUN = "run"
"""Something is ready. May be skipped, doubled or false; polling finds what it misses."""
CANCEL = "cancel:"
"""Before a run's id: somebody cancels it."""


class Wakeups(Protocol):
    """A source of hints."""

    async def deliver(self, wake: Callable[[str], None]) -> None:
        """Call `wake` with each payload, until cancelled or until no hints can be had.

        After each gap in listening `wake` gets RUN, because anything may have been missed.
        """
        ...
