"""A process of the stack, started by itself."""

import sys
from pathlib import Path

from backend.devkit.child import Child, Program

WHERE = [sys.executable, "-P", "-c", "import os; print(os.getcwd())"]


def test_a_program_runs_in_its_folder_and_in_the_data_folder_once_that_has_gone(
    tmp_path: Path,
) -> None:
    logs, work = tmp_path / "data" / "logs", tmp_path / "work"
    logs.mkdir(parents=True)
    work.mkdir()
    child = Child("it", lambda: Program(WHERE, {}, work), logs / "it.log")
    child.start()
    child.reap()
    work.rmdir()
    child.start()
    child.reap()
    assert (logs / "it.log").read_text("utf-8").splitlines() == [str(work), str(logs.parent)]
