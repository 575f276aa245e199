"""Processes that outlive the one that started them: is it still that one, and end it."""

import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_POLL_S = 0.02


@dataclass(frozen=True)
class ProcessId:
    """A process id with its start time, so that a reused number is not taken for the process."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Return whether this very process runs; a zombie does not."""
        return self.started != "" and start_time(self.pid) == self.started


def start_time(pid: int) -> str:
    """Return a value that is unique to this life of the pid, or an empty text if nothing runs.

    A zombie does not run.
    """
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name stands in brackets and may itself hold spaces and brackets.
    fields = line.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else f"{_boot()}/{fields[19]}"


@cache
def _boot() -> str:
    # Ticks are counted from the boot on: without it, another boot's process could look the same.
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def identify(pid: int) -> ProcessId:
    """Return the identity of a process that runs now."""
    return ProcessId(pid, start_time(pid))


def stop(process: ProcessId, *, patience_s: float, first: signal.Signals = signal.SIGTERM) -> None:
    """The process has ended: asked by `first`, and killed when `patience_s` were not enough."""
    for sent, wait_s in ((first, patience_s), (signal.SIGKILL, 5.0)):
        if not process.is_alive:
            return
        os.kill(process.pid, sent)
        wait_until_gone(process, wait_s)


def wait_until_forgotten(process: ProcessId, timeout_s: float) -> None:
    """The number of an ended process is free again, or its parent takes longer than `timeout_s`.

    Until then it is a zombie, which others may take for a process.
    """
    deadline = time.monotonic() + timeout_s
    while Path(f"/proc/{process.pid}").exists() and not start_time(process.pid):
        _reap(process.pid)
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def wait_until_gone(process: ProcessId, timeout_s: float) -> bool:
    """Return True as soon as the process has ended, False after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        _reap(process.pid)
        if not process.is_alive:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Somebody else's child.
        return
