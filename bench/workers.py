"""Worker processes to measure."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

_ROOT = Path(__file__).parents[1]
WORK = (sys.executable, "-m", "backend.cli", "work")
_READY = b"wakeups.listening_started"
# Over the Data API nothing can be heard.
_READY_DEAF = b"worker.started"


class BenchWorker:
    """One process, and what it has cost so far."""

    def __init__(
        self, command: Sequence[str], log: Path, settings: dict[str, str], ready: bytes = _READY
    ) -> None:
        self._log = log
        self._ready = ready
        environment = {"PATH": os.environ["PATH"], **settings}
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=stderr)
        self._view = psutil.Process(self.process.pid)

    def cpu_s(self) -> float:
        """Return its CPU time."""
        times = self._view.cpu_times()
        return float(times.user + times.system)

    async def ready(self) -> None:
        """The process says that it is ready."""
        while self._ready not in self._log.read_bytes():
            if self.process.poll() is not None:
                raise RuntimeError(self._log.read_text(errors="replace")[-2000:])
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """The process is gone."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


@asynccontextmanager
async def running(
    environment: Mapping[str, str],
    count: int = 1,
    command: Sequence[str] = WORK,
    **settings: str,
) -> AsyncIterator[list[BenchWorker]]:
    """Yield so many workers that listen where they can; they are gone afterwards."""
    ready = _READY if environment["DATABASE_URL"] else _READY_DEAF
    with tempfile.TemporaryDirectory(prefix="supa-bench-logs-") as folder:
        workers = [
            BenchWorker(command, Path(folder) / f"{number}.log", {**environment, **settings}, ready)
            for number in range(count)
        ]
        try:
            for worker in workers:
                await worker.ready()
            yield workers
        finally:
            for worker in workers:
                worker.kill()
