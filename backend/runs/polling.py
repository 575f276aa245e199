"""When to ask for runs again, without anybody having called."""

_FIRST_S = 0.01
_FACTOR = 4


class PollSchedule:
    """Waits that grow from 10 ms after a wake-up to the longest one.

    A wake-up may stand for others that the gate in the database swallowed, so the first polls
    behind it follow each other quickly.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._next_s = longest_s

    def woken(self) -> None:
        """The next waits are short again."""
        self._next_s = _FIRST_S

    def next_wait_s(self) -> float:
        """Return how long to wait before the next poll."""
        wait_s = min(self._next_s, self._longest_s)
        self._next_s = min(self._next_s * _FACTOR, self._longest_s)
        return wait_s
