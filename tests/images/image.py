"""The image as the Dockerfile makes it, with bubblewrap and uv in the place of a builder and pip."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tests.images import dockerfile
from tests.images.dockerfile import Stage
from tests.images.jail import BASE_BIN, BASE_PATH, build_step, container

_PLACE = "/opt/assistants"
# The same arguments; a download that is at hand is not asked for again.
_PIP = """#!/bin/sh
[ "$1 $3" = "--python install" ] || { echo "the tests cannot read: pip $*" >&2; exit 1; }
python="$2"; shift 3
install() { /opt/base/uv pip install --quiet --link-mode copy --python "$python" "$@"; }
for argument in "$@"; do shift; [ "$argument" = --no-cache-dir ] || set -- "$@" "$argument"; done
install --offline "$@" 2>/dev/null || install "$@"
"""


class Image:
    """What the last stage holds, and how it is started."""

    def __init__(self, folder: Path, final: Stage) -> None:
        self._folder = folder
        self._final = final
        self.entrypoint = final.command("ENTRYPOINT")
        self.health = dockerfile.health(final)[1]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what a process in the container finds; nothing of this process's environment."""
        return {**self._final.environment(BASE_PATH), **given}

    def start(self, *command: str, tmp: Path, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command line that runs this in a container whose /tmp is that folder."""
        return [*container(self._read(), {"/tmp": tmp}, *options), *command]

    def run(
        self, *command: str, tmp: Path, given: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Return how a command in the container ended."""
        return subprocess.run(
            self.start(*command, tmp=tmp),
            env=self.environment(given or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def packages(self) -> Path:
        """Where the installed modules lie, seen from outside."""
        (found,) = (self._folder / "assistants" / "lib").glob("python*/site-packages")
        return found

    def _read(self) -> dict[str, Path]:
        return {_PLACE: self._folder / "assistants", BASE_BIN: self._folder / "base"}


def build(folder: Path) -> Image:
    """Return the image, made by the steps of the Dockerfile."""
    builder, final = dockerfile.stages()
    assert final.all("COPY") == [f"--from=builder {_PLACE} {_PLACE}"]
    assert not final.all("RUN")
    _base(folder / "base")
    workdir = PurePosixPath(builder.one("WORKDIR"))
    folders = {_PLACE: folder / "assistants", str(workdir): folder / "build"}
    for made in folders.values():
        made.mkdir()
    # Wherever these are on this machine, the steps find them.
    cache = Path(_uv("cache", "dir"))
    cache.mkdir(parents=True, exist_ok=True)
    uv = Path(str(shutil.which("uv")))
    folders |= {BASE_BIN: folder / "base", "/opt/base/uv": uv, str(cache): cache}
    for name, rest in builder.steps:
        if name == "RUN":
            build_step(folders, rest, {"PATH": BASE_PATH, "PWD": str(workdir)})
        elif name == "COPY":
            dockerfile.copy_context(rest, folder / "build")
        else:
            assert name == "WORKDIR"
    return Image(folder, final)


def _base(folder: Path) -> None:
    folder.mkdir()
    (folder / "python").symlink_to(Path(sys._base_executable).resolve())  # type: ignore[attr-defined] # noqa: SLF001
    pip = folder / "pip"
    pip.write_text(_PIP, "utf-8")
    for path in (folder, pip):
        path.chmod(0o755)


def _uv(*arguments: str) -> str:
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
