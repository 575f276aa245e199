"""The data folder of one local stack: what lies where, and who works on it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.devkit.private_files import read_json, write_private_json
from backend.devkit.process import ProcessId
from backend.errors import LocalStackFailed


class StackFolder:
    """Paths below a data folder, and the notes that a running stack keeps there."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.stack = self.path / "stack.json"
        self.processes = self.path / "processes.json"
        self.ports = self.path / "ports.json"
        self.keys = self.path / "keys.json"
        self.issuer_key = self.path / "issuer.pem"
        self.data_api = self.path / "data_api.json"
        self.objects = self.path / "storage"
        self.seeded = self.path / "seeded"

    def create(self) -> None:
        """The folder and its logs exist; nobody else reads them.

        Raises:
            LocalStackFailed: It cannot be made; says why.
        """
        # Root's database runs as another account, which has to pass through.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.path.mkdir(mode=mode, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            message = f"The data folder {self.path} cannot be made: {error.strerror}"
            raise LocalStackFailed(message) from error

    @property
    def exists(self) -> bool:
        """Return whether there is such a folder."""
        return self.path.is_dir()

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yield whether this process is now the only one that runs a stack here.

        The lock is the kernel's: it is free again as soon as its holder is dead.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield _try_lock(descriptor)
        finally:
            os.close(descriptor)

    @property
    def is_locked(self) -> bool:
        """Return whether some process runs a stack here, or starts or stops one."""
        with self.locked() as is_free:
            return not is_free

    def read_stack(self) -> dict[str, Any]:
        """Return what the running stack says of itself; empty when none is ready."""
        return read_json(self.stack)

    def read_processes(self) -> dict[str, ProcessId]:
        """Return the processes that were started here and not stopped, alive or not."""
        entries = read_json(self.processes)
        return {name: ProcessId(**entry) for name, entry in entries.items()}

    def write_processes(self, processes: dict[str, ProcessId]) -> None:
        """These are the processes of the stack; none removes the note."""
        if processes:
            notes = {name: vars(process) for name, process in processes.items()}
            write_private_json(self.processes, notes)
        else:
            self.processes.unlink(missing_ok=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
