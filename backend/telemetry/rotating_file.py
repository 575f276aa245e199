"""A file of lines that rotates, written by several processes of one machine at a time."""

import fcntl
import os
import threading
from pathlib import Path

_MODE = 0o640


class RotatingFile:
    """Keeps the newest lines: `errors.log`, then `errors.log.1` and so on, the oldest last."""

    def __init__(self, path: Path, *, max_bytes: int = 10_000_000, files: int = 5) -> None:
        """The folder and the file are there.

        Args:
            path: Of the newest file.
            max_bytes: A file rotates before a line would make it longer.
            files: How many there are at most, the newest included.

        Raises:
            OSError: The folder cannot be made, or the file not be written.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._turn = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def append(self, line: str) -> None:
        """The line is in the newest file, or in the one that was the newest a moment ago.

        Raises:
            OSError: It could not be written.
        """
        written = f"{line}\n".encode()
        with self._turn:
            if not self._is_newest():
                self._reopen()
            if os.fstat(self._file).st_size + len(written) > self._max_bytes:
                self._rotate(len(written))
            # One write to a file opened for appending: lines of other processes never tear it.
            os.write(self._file, written)

    def _rotate(self, wanted_bytes: int) -> None:
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_CREAT | os.O_RDWR)
        try:
            # Whoever holds it is rotating. It may be frozen: this line goes to the file as it is.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between looking and locking another process may have rotated.
            if self._is_newest() and os.fstat(self._file).st_size + wanted_bytes > self._max_bytes:
                self._shift()
            self._reopen()
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def _shift(self) -> None:
        for number in range(self._files - 2, 0, -1):
            if self._older(number).exists():
                self._older(number).replace(self._older(number + 1))
        self._path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _is_newest(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _reopen(self) -> None:
        stale, self._file = self._file, self._open()
        os.close(stale)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)
