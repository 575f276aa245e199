"""Bubblewrap in the place of a container runtime: a root of its own, no rights, one writable folder."""

import os
import shutil
import sys
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, run

from tests.support.cluster import missing

BASE_BIN = "/opt/base/bin"
"""Where the base image has its `python`."""
BASE_PATH = f"{BASE_BIN}:/usr/local/bin:/usr/bin:/bin"
_BWRAP = "/usr/bin/bwrap"
_UID = "10001"
# A privileged bubblewrap keeps its user: what becomes another one needs these for that moment.
_TO_CHANGE_USER = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@cache
def require_jail() -> None:
    """Bubblewrap works here, or the test is skipped; where CI is set it fails instead."""
    if not Path(_BWRAP).exists():
        missing("bubblewrap is not installed: apt-get install bubblewrap")
    done = run([*container({}, {}), "true"], stdin=DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        missing(f"bubblewrap may not make a sandbox here: {done.stderr.decode()}")


def container(read: dict[str, Path], write: dict[str, Path], *options: str) -> list[str]:
    """Return the beginning of a command that runs as uid 10001 without rights.

    Args:
        read: What is seen, by its place in the container.
        write: What may be written, likewise.
        options: More of bubblewrap's.
    """
    return [
        *(_BWRAP, "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--as-pid-1", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *_base_system(),
        *_mounts(read, "--ro-bind"),
        *_mounts(write, "--bind"),
        *("--remount-ro", "/", "--chdir", "/", *options),
        *_without_rights(),
    ]


def build_step(folders: dict[str, Path], command: str, environment: dict[str, str]) -> None:
    """The command of a RUN has succeeded; it sees this machine, and writes into `folders` only."""
    known = ("proc", "dev", "tmp", "opt")
    machine = [path for path in Path("/").iterdir() if path.name not in known]
    machine += [*Path("/opt").iterdir(), Path(sys.base_prefix)]
    options = [
        *(_BWRAP, "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *(option for path in machine for option in _same(path)),
        *_mounts(folders, "--bind"),
    ]
    done = run(
        [*options, "sh", "-c", f"umask 022; cd {environment['PWD']}; {command}"],
        env={**os.environ, **environment},
        stdin=DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def hand_over(folder: Path) -> None:
    """The container's user may write into this folder."""
    if os.geteuid() == 0:
        shutil.chown(folder, int(_UID), int(_UID))


def _without_rights() -> list[str]:
    if os.geteuid() != 0:
        return ["--unshare-user", "--uid", _UID, "--gid", _UID, "--cap-drop", "ALL"]
    kept = (option for name in _TO_CHANGE_USER for option in ("--cap-add", name))
    become = ["setpriv", "--reuid", _UID, "--regid", _UID, "--clear-groups"]
    return ["--cap-drop", "ALL", *kept, *become, "--inh-caps=-all", "--bounding-set=-all"]


def _base_system() -> list[str]:
    """Return what stands for the base image: the system's programs and this Python."""
    folders = [Path(name) for name in ("/bin", "/lib", "/lib64", "/usr")]
    python = Path(sys.base_prefix)
    if not python.is_relative_to("/usr"):
        folders.append(python)
    return [option for path in folders if path.exists() for option in _same(path)]


def _same(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return _mounts({str(path): path}, "--ro-bind")


def _mounts(folders: dict[str, Path], how: str) -> list[str]:
    options = []
    for place, folder in folders.items():
        for parent in reversed(Path(place).parents[:-1]):
            # By itself bubblewrap makes folders on the way that only their owner may enter.
            options += ["--perms", "0755", "--dir", str(parent)]
        options += [how, str(folder), place]
    return options
