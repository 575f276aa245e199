"""PostgreSQL's own programs: make a data directory, launch a server on it, see whether it is ready."""

import ctypes
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.devkit.installation import Account, Installation
from backend.devkit.private_files import write_private
from backend.errors import LocalStackFailed

_START_S = 60.0
_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1
_STATUS_LINE = 7


@dataclass(frozen=True)
class Site:
    """Where a server lives and whom it runs as."""

    installation: Installation
    account: Account | None
    pgdata: Path
    log: Path


def make_data_directory(site: Site, superuser: str, password: str, *, durable: bool) -> None:
    """The data directory exists; its superuser logs in by password, over TCP and sockets alike.

    Raises:
        LocalStackFailed: `initdb` refused; says why.
    """
    # Renamed when whole: a start that is cut short leaves no directory that looks made.
    draft = site.pgdata.with_name("pgdata.draft")
    shutil.rmtree(draft, ignore_errors=True)
    password_file = site.pgdata.with_name("password")
    write_private(password_file, password)
    if site.account:
        shutil.chown(password_file, site.account.uid, site.account.gid)
    command = [
        site.installation.program("initdb"),
        f"--pgdata={draft}",
        f"--username={superuser}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # A LANG that was never generated would fail here.
        "--locale=C.UTF-8",
        *([] if durable else ["--no-sync"]),
    ]
    account = site.account
    done = subprocess.run(
        command,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    password_file.unlink()
    if done.returncode != 0:
        raise LocalStackFailed(f"The database could not be made: {done.stderr.strip()}")
    draft.rename(site.pgdata)


def launch(
    site: Site, settings: Mapping[str, str], *, ends_with_parent: bool
) -> subprocess.Popen[bytes]:
    """Return the server's main process, which has a session of its own; it may not be ready yet."""
    options = [f"-c{name}={value}" for name, value in settings.items()]
    account = site.account
    with site.log.open("ab") as log:
        return subprocess.Popen(
            [site.installation.program("postgres"), "-D", str(site.pgdata), *options],
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_interrupt_at_parents_death() if ends_with_parent else None,  # noqa: PLW1509 - tests only
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def is_ready(server: subprocess.Popen[bytes], pgdata: Path) -> bool:
    """Return True once the server accepts connections, False if it ended or took a minute."""
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        if _status(pgdata, server.pid) == "ready":
            return True
        time.sleep(_POLL_S)
    return False


def _interrupt_at_parents_death() -> Callable[[], None]:
    # Loaded before the fork: the child must not touch the loader.
    library = ctypes.CDLL(None)

    def request() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    return request


def _status(pgdata: Path, pid: int) -> str:
    try:
        lines = (pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    is_its_own = lines[:1] == [str(pid)]
    return lines[_STATUS_LINE].strip() if is_its_own and len(lines) > _STATUS_LINE else ""
