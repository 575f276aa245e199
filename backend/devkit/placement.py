"""Where a cluster's files lie: beside the other data, or where the server's account can reach them."""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path

from backend.devkit import installation
from backend.devkit.installation import STATE, Account
from backend.devkit.process import ProcessId, identify, stop
from backend.errors import LocalStackFailed

# A folder that was moved or not mounted comes back; its database must still be there.
_ORPHAN_KEPT_S = 7 * 24 * 3600
_SOCKET_PATH_LIMIT = 107
# A backend ends by itself once its server's main process is gone.
_ORPHAN_BACKENDS_S = 10.0
_POLL_S = 0.05
_POINTER = "postgres.path"


def cluster_home(data: Path, account: Account | None) -> Path:
    """Return the folder of the data folder's cluster; it exists and the server can enter it.

    Args:
        data: An existing folder.
        account: The account that the server runs under, None for one's own.
    """
    pointer = data / _POINTER
    if pointer.exists():
        home = Path(pointer.read_text(encoding="utf-8").strip())
        _claim(home, data)
    elif account is None or installation.is_reachable(data):
        home = data / "postgres"
    else:
        home = STATE / "clusters" / secrets.token_hex(6)
        _claim(home, data)
        pointer.write_text(f"{home}\n", encoding="utf-8")
    return _owned_folder(home, account)


def socket_folder(home: Path, account: Account | None) -> Path:
    """Return an empty folder of mode 0700 whose path is short enough for a Unix socket."""
    discard_socket_folder(home)
    near = home / "run"
    if len(str(near / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT:
        return _owned_folder(near, account)
    note = home / "run.path"
    far = Path(tempfile.mkdtemp(prefix="supa-pg-", dir="/tmp"))
    note.write_text(str(far), encoding="utf-8")
    return _owned_folder(far, account)


def discard_socket_folder(home: Path) -> None:
    """No socket is left, nor its lock file, nor the folder that they were in."""
    shutil.rmtree(home / "run", ignore_errors=True)
    note = home / "run.path"
    if note.exists():
        shutil.rmtree(note.read_text(encoding="utf-8"), ignore_errors=True)
        note.unlink()


def prune_orphans() -> None:
    """Servers whose data folder vanished are stopped; what cannot be wanted back is removed."""
    if os.geteuid() != 0:
        return
    for home in (STATE / "clusters").glob("*"):
        # Another start may be pruning the same one.
        with contextlib.suppress(FileNotFoundError):
            _prune(home, home / "owner")


def running_server(pgdata: Path) -> ProcessId | None:
    """Return the postmaster that holds this data directory, or None."""
    try:
        pid = int((pgdata / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        cwd = Path(f"/proc/{pid}/cwd").readlink()
    except (OSError, ValueError):
        return None
    process = identify(pid)
    return process if cwd == pgdata.resolve() and process.is_alive else None


def _prune(home: Path, owner: Path) -> None:
    data = Path(owner.read_text(encoding="utf-8").strip())
    if data.exists():
        return
    server = running_server(home / "pgdata")
    if server is not None:
        stop(server, patience_s=20, first=signal.SIGINT)
    is_temporary = data.is_relative_to(tempfile.gettempdir())
    if is_temporary or time.time() - owner.stat().st_mtime > _ORPHAN_KEPT_S:
        shutil.rmtree(home, ignore_errors=True)


def release_lock(pgdata: Path) -> None:
    """No killed server's lock file is in the way of a new one.

    PostgreSQL itself takes a lock file for valid when its process number is in use, be it by a
    zombie or by a stranger. It goes only when no process works in the directory any more.
    """
    deadline = time.monotonic() + _ORPHAN_BACKENDS_S
    while any(_works_in(process, pgdata.resolve()) for process in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)
    (pgdata / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        # It has ended, or belongs to another account, whose server this cannot be.
        return False


def _claim(home: Path, data: Path) -> None:
    # Its time says when the cluster was last used.
    home.mkdir(parents=True, exist_ok=True)
    (home / "owner").write_text(f"{data.resolve()}\n", encoding="utf-8")


def _owned_folder(folder: Path, account: Account | None) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if account is not None:
            shutil.chown(folder, account.uid, account.gid)
    except OSError as error:
        message = f"The database folder {folder} cannot be made: {error.strerror}"
        raise LocalStackFailed(message) from error
    return folder
