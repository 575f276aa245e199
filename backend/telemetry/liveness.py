"""A file whose age says whether the process that touches it still goes on."""

import time
from pathlib import Path

TOUCH_S = 2.0
STALE_S = 15.0
"""Seven touches: a busy moment is no reason to be restarted."""


class LivenessFile:
    """Touched by a process for others to see; nothing is ever written into it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def touch(self) -> None:
        """The file is there, and as young as can be.

        Raises:
            OSError: It cannot be written.
        """
        self._path.touch(mode=0o644)

    def age_s(self) -> float | None:
        """Return for how long nobody has touched it; None where there is no such file.

        A clock that was set back makes it negative until the next touch.
        """
        try:
            return time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return None
