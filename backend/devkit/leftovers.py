"""What a supervisor that was killed has left running."""

import signal

from backend.devkit.folder import StackFolder
from backend.devkit.postgres import Cluster
from backend.devkit.process import stop, wait_until_forgotten
from backend.errors import LocalStackFailed

_PATIENCE_S = 3.0
_POSTGRES_S = 30.0
_FORGET_S = 2.0


def clear(folder: StackFolder) -> list[str]:
    """Return the names of processes that still ran and are stopped now; their notes are gone.

    Only processes that were started for this folder are touched: a note holds their start time,
    and the database server is known by the directory that it works in.

    Raises:
        LocalStackFailed: They belong to another account.
    """
    alive = {name: process for name, process in folder.read_processes().items() if process.is_alive}
    alive.pop("supervisor", None)
    server = alive.pop("postgres", None)
    try:
        for process in alive.values():
            stop(process, patience_s=_PATIENCE_S)
        if server:
            stop(server, patience_s=_POSTGRES_S, first=signal.SIGINT)
        for process in (*alive.values(), *([server] if server else [])):
            wait_until_forgotten(process, _FORGET_S)
        if (folder.path / "passwords.json").exists():
            Cluster(folder.path).stop()
    except PermissionError as error:
        raise LocalStackFailed(f"What runs in {folder.path} belongs to another account.") from error
    folder.write_processes({})
    folder.stack.unlink(missing_ok=True)
    folder.data_api.unlink(missing_ok=True)
    return [*alive, *(["postgres"] if server else [])]
