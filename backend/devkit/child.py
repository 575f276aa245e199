"""One process of the stack: started, watched, and started again when it died."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.devkit.process import ProcessId, identify

_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_TAIL_BYTES = 4000


@dataclass(frozen=True)
class Program:
    """A command and the environment that it runs in."""

    command: list[str]
    environment: Mapping[str, str]
    folder: Path | None = None
    """Where it runs; the stack's own, where nothing is said or the folder has gone."""


class Child:
    """A process with a log of its own, in a session of its own: Ctrl-C does not reach it."""

    def __init__(self, name: str, program: Callable[[], Program], log: Path) -> None:
        """Nothing is started.

        Args:
            name: As it stands among the stack's processes.
            program: Asked at each start, because a port may have changed in between.
            log: Its output is appended here.
        """
        self.name = name
        self._program = program
        self._log = log
        self._running: subprocess.Popen[bytes] | None = None
        self._process: ProcessId | None = None

    def start(self) -> None:
        """The process runs; whether it is ready is another question."""
        program = self._program()
        self.rotate_log()
        folder = program.folder if program.folder and program.folder.is_dir() else None
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                program.command,
                env=dict(program.environment),
                cwd=folder or self._log.parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._process = identify(self._running.pid)

    @property
    def process(self) -> ProcessId | None:
        """Return the process if it runs."""
        has_ended = self._running is None or self._running.poll() is not None
        return None if has_ended else self._process

    def reap(self) -> None:
        """The process, which was stopped, is waited for."""
        if self._running is not None:
            self._running.wait()
            self._running = None

    def last_words(self) -> str:
        """Return the last line of the log that says something, for an error message."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def rotate_log(self) -> None:
        """The log is below its limit; what it held before is in one older file."""
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT_BYTES:
            # The process goes on appending to the same file, so it is emptied, not replaced.
            shutil.copyfile(self._log, f"{self._log}.1")
            os.truncate(self._log, 0)
