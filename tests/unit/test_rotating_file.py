"""The file of errors: whole lines of several processes, and no more of them than agreed."""

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.telemetry.rotating_file import RotatingFile
from tests.support.processes import ROOT

_WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
from backend.telemetry.rotating_file import RotatingFile
name, path = sys.argv[1], Path(sys.argv[2])
file = RotatingFile(path, max_bytes=1_000_000, files=5)
sys.stdin.readline()
for number in range(20_000):
    file.append(f"{name} {number:05} " + "x" * 88)
"""


def names(folder: Path) -> list[str]:
    """Return the files, the newest first."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def lines(folder: Path) -> list[str]:
    """Return all that was kept, in no order."""
    return [line for name in names(folder) for line in (folder / name).read_text().splitlines()]


def test_two_processes_lose_and_tear_no_line_while_the_file_rotates(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, name, str(path)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0]

    written = {f"{name} {number:05} " + "x" * 88 for name in "ab" for number in range(20_000)}
    kept = lines(tmp_path)
    assert len(kept) == len(written)
    assert set(kept) == written
    assert len(names(tmp_path)) in {4, 5}
    newest, *older = [(tmp_path / name).stat().st_size for name in names(tmp_path)]
    # None is rotated before it is full, and none by both.
    assert all(size > 990_000 for size in older)
    assert newest > 0


def test_the_oldest_lines_go_first_and_each_file_keeps_to_its_size(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "errors.log", max_bytes=30, files=3)
    for number in range(20):
        file.append(f"line {number:04}")
    assert names(tmp_path) == ["errors.log", "errors.log.1", "errors.log.2"]
    assert (tmp_path / "errors.log").read_text() == "line 0018\nline 0019\n"
    assert (tmp_path / "errors.log.2").read_text() == "line 0012\nline 0013\nline 0014\n"


def test_a_line_longer_than_a_file_has_one_to_itself(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "errors.log", max_bytes=10, files=3)
    for word in ("short", "much longer than ten bytes", "end"):
        file.append(word)
    assert (tmp_path / "errors.log.1").read_text() == "much longer than ten bytes\n"
    assert (tmp_path / "errors.log").read_text() == "end\n"


def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    for word in ("one", "two"):
        RotatingFile(tmp_path / "errors.log").append(word)
    assert lines(tmp_path) == ["one", "two"]


@pytest.mark.parametrize("moved", [True, False])
def test_a_file_that_somebody_takes_away_is_made_again(tmp_path: Path, moved: bool) -> None:
    path = tmp_path / "errors.log"
    file = RotatingFile(path)
    file.append("one")
    if moved:
        path.rename(tmp_path / "taken")
    else:
        path.unlink()
    file.append("two")
    assert path.read_text() == "two\n"


def test_a_process_that_is_frozen_while_it_rotates_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    file = RotatingFile(path, max_bytes=10, files=2)
    file.append("line 1")
    with path.with_name("errors.log.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file.append("line 2")
        file.append("line 3")
    assert path.read_text() == "line 1\nline 2\nline 3\n"
    file.append("line 4")
    assert path.read_text() == "line 4\n"


class Overtaken(RotatingFile):
    """Another process writes right after this one has looked at the file."""

    overtake: Callable[[], None] | None = None

    def _is_newest(self) -> bool:
        found = super()._is_newest()
        overtake, self.overtake = self.overtake, None
        if overtake:
            overtake()
        return found


def test_a_file_that_another_process_has_just_rotated_is_not_rotated_again(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    file = Overtaken(path, max_bytes=20)
    other = RotatingFile(path, max_bytes=20)
    file.append("line 1 fills it up")
    file.overtake = lambda: other.append("2")
    file.append("3")
    assert names(tmp_path) == ["errors.log", "errors.log.1"]
    assert path.read_text() == "2\n3\n"


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    RotatingFile(tmp_path / "errors.log")
    assert (tmp_path / "errors.log").stat().st_mode & 0o007 == 0
