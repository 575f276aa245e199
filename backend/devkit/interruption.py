"""Signals that ask the stack to stop, seen at the next moment when it waits."""

import signal
import threading
from types import FrameType

from backend.errors import LocalStackFailed


class Interruption:
    """Counts the signals; the first asks to stop, the second to hurry."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._count = 0

    def watch(self) -> None:
        """SIGINT, SIGTERM and SIGHUP are counted from now on, and do nothing else."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    @property
    def is_asked(self) -> bool:
        """Return whether the stack shall stop."""
        return self._count > 0

    @property
    def is_hurried(self) -> bool:
        """Return whether it shall stop without waiting for anything."""
        return self._count > 1

    def wait(self, seconds: float) -> bool:
        """Return True as soon as the stack shall stop, False after the time."""
        return self._asked.wait(seconds)

    def check(self) -> None:
        """Raise if the stack shall stop.

        Raises:
            LocalStackFailed: It shall.
        """
        if self.is_asked:
            raise LocalStackFailed("The start was interrupted.")

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._asked.set()
