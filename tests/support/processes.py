"""Real worker processes, which a test starts, kills, freezes and thaws."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 30.0
_PAUSE_S = 0.01
_FAST = {"WORKER_LEASE_S": "1", "WORKER_POLL_S": "0.1", "OFFLINE_TRIALS": "true"}

UNHARMED = {"WORKER_LEASE_S": "30"}
"""For workers that nothing befalls: they keep their runs through any pause of a busy machine."""


class AssistantsProcess:
    """One `assistants` command, as somebody starts it on a machine of theirs."""

    ready_event = "wakeups.listening_started"

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend.cli", *command],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "LOG_FOLDER": "", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """The process has been sent this signal, if it still lives."""
        if self.is_alive:
            self._process.send_signal(number)

    def kill(self) -> None:
        """The process is gone at once, as by a power cut."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """The process stands still, and its connections stay open."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The process goes on as if no time had passed."""
        self.signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """The process has been asked to end in an orderly way."""
        self.signal(signal.SIGTERM)

    async def ended(self, within_s: float = _PATIENCE_S) -> int:
        """Return the exit code once the process has ended by itself."""
        await until(self._has_ended, within_s)
        return self._process.wait()

    async def ready(self) -> Self:
        """Return the process once it says so."""
        await until(self._is_ready, _PATIENCE_S)
        return self

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines about this event."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry["event"] == event]

    def log_text(self) -> str:
        """Return all that the process wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def _has_ended(self) -> bool:
        return not self.is_alive

    async def _is_ready(self) -> bool:
        if not self.is_alive:
            raise AssertionError(f"The process ended: {self.log_text()[-2000:]}")
        return bool(self.logged(self.ready_event))


class WorkerProcess(AssistantsProcess):
    """One `assistants work`."""

    def __init__(self, database_url: str, log: Path, settings: Mapping[str, str]) -> None:
        if not database_url:
            # Over the Data API nothing can be heard.
            self.ready_event = "worker.started"
        super().__init__(["work"], log, {"DATABASE_URL": database_url, **_FAST, **settings})


class Workshop:
    """Starts workers for one database; none of them is left afterwards."""

    def __init__(self, database_url: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.database_url = database_url
        self._folder = folder
        self.settings = settings
        self._started: list[WorkerProcess] = []

    def start(self, **settings: str) -> WorkerProcess:
        """Return a worker that is starting; settings are environment variables."""
        log = self._folder / f"worker-{len(self._started)}.log"
        url = settings.pop("DATABASE_URL", self.database_url)
        worker = WorkerProcess(url, log, {**self.settings, **settings})
        self._started.append(worker)
        return worker

    async def ready(self, **settings: str) -> WorkerProcess:
        """Return a worker that listens."""
        return await self.start(**settings).ready()

    def close(self) -> None:
        """Kill all of them."""
        for worker in self._started:
            worker.thaw()
            worker.kill()


@contextmanager
def open_workshop(database_url: str, **settings: str) -> Iterator[Workshop]:
    """Yield a workshop whose workers have these environment variables besides.

    Args:
        database_url: The service's login; empty where the settings name a project instead.
        settings: Of all its workers.
    """
    with tempfile.TemporaryDirectory(prefix="supa-workers-") as folder:
        workshop = Workshop(database_url, Path(folder), settings)
        try:
            yield workshop
        finally:
            workshop.close()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = _PATIENCE_S) -> None:
    """The condition holds; a test that waits too long for it fails."""
    deadline = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"It did not happen within {within_s} s.")
        await asyncio.sleep(_PAUSE_S)
