"""Logs: JSON of ids and codes, errors also in a file, and never what anybody said."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.telemetry.defects import describe
from tests.support.processes import ROOT

SECRET = "the dragon sleeps in Zanzibar"
_START = """
import asyncio, logging, sys, threading, warnings
import structlog
from backend.telemetry import logs
log = structlog.get_logger()
SECRET = "the dragon sleeps in Zanzibar"
"""


def program(body: str, folder: Path = ROOT) -> "subprocess.Popen[str]":
    """Return a process that runs this after the usual imports, in this folder."""
    return subprocess.Popen(
        [sys.executable, "-c", _START + body],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def logged(body: str, code: int = 0) -> list[dict[str, Any]]:
    """Return what such a process logs; it ends with this exit code and quotes no secret."""
    process = program(body)
    said, log = process.communicate(timeout=60)
    assert process.returncode == code, log
    for word in ("dragon", "Zanzibar", "Traceback"):
        assert word not in said + log
    return [json.loads(line) for line in log.splitlines()]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(entries: list[dict[str, Any]]) -> list[str]:
    """Return the names of the entries."""
    return [entry["event"] for entry in entries]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("DEBUG", ["debug", "info", "warning", "error", "library.warned"]),
        ("INFO", ["info", "warning", "error", "library.warned"]),
        ("WARNING", ["warning", "error", "library.warned"]),
        ("ERROR", ["error"]),
    ],
)
def test_a_level_is_honoured_and_libraries_are_heard_from_warning_up(
    level: str, written: list[str]
) -> None:
    entries = logged(f"""
logs.configure("{level}")
for name in ("debug", "info", "warning", "error"):
    getattr(log, name)(name)
logging.getLogger("library").info(SECRET)
logging.getLogger("library").warning(SECRET)
""")
    assert events(entries) == written
    assert all(entry["timestamp"] and entry["level"] for entry in entries)


def test_a_library_is_named_and_placed_and_its_words_are_left_out() -> None:
    (warned, failed) = logged("""
logs.configure("INFO")
logging.getLogger("httpx").warning("GET /?q=%s", SECRET)
try:
    raise ValueError(SECRET)
except ValueError:
    logging.getLogger("uvicorn.error").exception(SECRET)
""")
    assert (warned["event"], warned["level"]) == ("library.warned", "warning")
    assert warned["logger"] == "httpx"
    assert failed["logger"] == "uvicorn.error"
    assert (failed["level"], failed["error"]) == ("error", "ValueError")
    assert failed["place"].startswith("__main__:")


def test_a_record_that_cannot_be_formatted_prints_nothing_else() -> None:
    assert len(logged('logs.configure("INFO"); logging.getLogger("x").error("%d", SECRET)')) == 1


def test_a_task_that_was_cancelled_is_no_news() -> None:
    assert not logged("""
logs.configure("INFO")
logging.getLogger("uvicorn.error").error("ended", exc_info=asyncio.CancelledError())
""")


@pytest.mark.parametrize(
    "body",
    [
        "log.error('it', exc_info=True)",
        "log.exception('it')",
        "log.error('it', exc_info=error)",
        "log.error('it', exc_info=sys.exc_info())",
    ],
)
def test_an_exception_in_an_event_is_its_class_and_place(body: str) -> None:
    (entry,) = logged(f"""
logs.configure("INFO")
try:
    raise ValueError(SECRET)
except ValueError as error:
    {body}
""")
    assert (entry["event"], entry["error"]) == ("it", "ValueError")
    assert entry["place"].startswith("__main__:")


def test_an_exception_under_any_other_key_is_its_class() -> None:
    (entry,) = logged('logs.configure("INFO"); log.error("it", cause=ValueError(SECRET))')
    assert entry["cause"] == "ValueError"


def test_a_process_that_breaks_says_where_and_not_what() -> None:
    (entry,) = logged('logs.configure("INFO")\ndef f(): raise ValueError(SECRET)\nf()', code=1)
    assert (entry["event"], entry["error"]) == ("process.broke", "ValueError")
    assert len(entry["stack"]) == 2


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ("threading.Thread(target=broken).start()", "process.broke"),
        ("warnings.warn(SECRET)", "library.warned"),
        (
            "class It:\n    def __del__(self): broken()\nit = It()\ndel it",
            "process.broke",
        ),
        (
            """
async def late(): broken()
async def main():
    asyncio.create_task(late())
    for _ in range(3):
        await asyncio.sleep(0)
asyncio.run(main())
""",
            "library.warned",
        ),
    ],
)
def test_what_breaks_out_of_sight_is_logged_like_everything_else(body: str, event: str) -> None:
    entries = logged(f'logs.configure("INFO")\ndef broken(): raise ValueError(SECRET)\n{body}')
    assert events(entries) == [event]


def test_an_interrupted_process_says_nothing() -> None:
    assert not logged('logs.configure("INFO"); raise KeyboardInterrupt', code=-2)


def test_errors_are_kept_in_a_file_with_the_name_of_their_process(tmp_path: Path) -> None:
    entries = logged(f"""
logs.configure("INFO", folder="{tmp_path}/deep/Logs", process="worker")
structlog.contextvars.bind_contextvars(request_id="r1")
log.info("fine")
log.warning("hm")
log.error("broken", run_id="7")
logging.getLogger("library").error(SECRET)
log.critical("worse")
""")
    kept = lines_of(tmp_path / "deep/Logs/errors.log")
    assert events(entries) == ["fine", "hm", "broken", "library.warned", "worse"]
    assert events(kept) == ["broken", "library.warned", "worse"]
    assert kept[0].pop("process").startswith("worker-")
    assert kept[0] == entries[2]
    assert kept[0]["request_id"] == "r1"


def test_without_a_folder_there_is_no_file(tmp_path: Path) -> None:
    process = program('logs.configure("INFO"); log.error("broken")', folder=tmp_path)
    _, log = process.communicate(timeout=60)
    assert events([json.loads(log)]) == ["broken"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["/dev/null/Logs", "/proc/nowhere/Logs"])
def test_a_folder_that_cannot_be_written_costs_one_warning(folder: str) -> None:
    entries = logged(f"""
logs.configure("INFO", folder="{folder}")
log.error("broken")
log.error("broken")
""")
    assert events(entries) == ["logs.unwritable", "broken", "broken"]


def test_a_disk_that_fills_up_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "errors.log").symlink_to("/dev/full")
    entries = logged(f"""
logs.configure("INFO", folder="{tmp_path}")
log.error("broken")
log.error("broken")
""")
    assert sorted(events(entries)) == ["broken", "broken", "logs.unwritable"]


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    process = program("""
logs.configure("INFO")
print("ready", flush=True)
sys.stdin = None
for _ in range(10_000):
    log.error("broken")
print("done", flush=True)
""")
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.close()
    assert process.stdout.read().split() == ["ready", "done"]
    assert process.wait(timeout=60) in {0, 120}  # Python itself minds that it cannot flush
    process.stdout.close()


def throw(error: Exception) -> None:
    """Raise it."""
    raise error


def raised(error: Exception) -> Exception:
    """Return the error with the trace of having been raised."""
    with pytest.raises(type(error)):
        throw(error)
    return error


def test_an_error_is_described_by_where_it_was_raised() -> None:
    simple = describe(raised(ValueError(SECRET)))
    assert simple["error"] == "ValueError"
    assert simple["place"].startswith("tests.unit.test_logs:")
    assert describe(ValueError(SECRET)) == {"error": "ValueError", "place": "unknown"}
    group = raised(ExceptionGroup(SECRET, [raised(KeyError(SECRET)), ValueError()]))
    assert describe(group)["error"] == "KeyError"
    caused = ValueError(SECRET)
    caused.__cause__ = KeyError(SECRET)
    assert describe(caused) == {"error": "ValueError", "place": "unknown", "cause": "KeyError"}
