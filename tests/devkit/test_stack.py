"""`assistants up` and `down`: what they leave behind, and what they find."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.devkit.exchange import ask, run_sql
from tests.support.stack import ROOT, Stack, assistants


@pytest.fixture
def data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="supa-stack-", dir="/tmp"))
    yield folder
    with contextlib.suppress(FileNotFoundError):
        assistants("down", "--data", str(folder))
        shutil.rmtree(folder)


def up(data: Path, *more: str) -> Stack:
    options = ["--json", "--detach", "--workers", "0", "--data", str(data), *more]
    return Stack(json.loads(assistants("up", *options)))


def refused(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "backend.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def family(stack: Stack) -> list[psutil.Process]:
    """Return every process of the stack, PostgreSQL's own children included."""
    named = [psutil.Process(pid) for pid in stack.facts["pids"].values()]
    return named + [child for process in named for child in process.children(recursive=True)]


def are_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not alive


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ready(stack: Stack) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return ask(stack, "GET", "/rest/v1/chat_sessions").status_code == 401
    return False


def test_what_was_stored_is_there_after_a_restart(data: Path) -> None:
    first = up(data)
    run_sql(first, "create table public.kept as select 'still here' as word")
    processes = family(first)

    assistants("down", "--data", str(data))

    assert are_gone(processes)
    assert not (data / "stack.json").exists()
    assert not list(data.rglob(".s.PGSQL*")) + list(data.rglob("postmaster.pid"))
    second = up(data)
    assert run_sql(second, "select word from public.kept")[0]["word"] == "still here"
    assert {**second.facts, "pids": {}} == {**first.facts, "pids": {}}


def test_down_says_so_when_nothing_runs(data: Path) -> None:
    assert "Nothing runs" in assistants("down", "--data", str(data))
    assert "Nothing runs" in assistants("down", "--data", str(data / "nowhere"))


def test_a_second_up_says_that_a_stack_runs(stack: Stack) -> None:
    assert "already runs" in refused("up", "--data", str(stack.data))
    assert up(stack.data).facts == stack.facts


def test_two_folders_are_two_stacks(stack: Stack, data: Path) -> None:
    other = up(data)

    assert ready(other)
    assistants("down", "--data", str(data))
    assert ready(stack)


def test_a_taken_port_is_one_sentence(stack: Stack, data: Path) -> None:
    port = stack.facts["supabase_url"].rpartition(":")[2]

    said = refused("up", "--detach", "--port", port, "--data", str(data))

    assert said == f"Port {port} is taken by another program."
    assert not (data / "processes.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_foreground_stops_everything(data: Path, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "backend.cli", "up", "--json", "--data", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as supervisor:
        assert supervisor.stdout
        printed = "".join(iter(supervisor.stdout.readline, "}\n")) + "}"
        stack = Stack(json.loads(printed))
        processes = family(stack)
        supervisor.send_signal(number)
        supervisor.wait(timeout=30)

    assert "worker_1" in stack.facts["pids"]
    assert are_gone(processes)
    assert not (data / "stack.json").exists()


def test_a_killed_supervisors_stack_is_replaced(data: Path) -> None:
    first = up(data, "--workers", "1")
    processes = family(first)
    os.kill(first.facts["pids"]["supervisor"], signal.SIGKILL)

    second = up(data)

    assert are_gone(processes)
    assert ready(second)


def test_down_stops_what_a_killed_supervisor_left(data: Path) -> None:
    stack = up(data)
    processes = family(stack)
    os.kill(stack.facts["pids"]["supervisor"], signal.SIGKILL)

    assistants("down", "--data", str(data))

    assert are_gone(processes)


def test_what_dies_is_started_again_and_refused_until_then(data: Path) -> None:
    stack = up(data)
    before = stack.facts["pids"]
    assert ready(stack)

    with frozen(before["supervisor"]):
        kill_with_its_children(before["postgres"])
        answer = ask(stack, "GET", "/rest/v1/chat_sessions")
        for name in ("data_api", "service"):
            os.kill(before[name], signal.SIGKILL)

    assert (answer.status_code, answer.json()["code"]) == (503, "PGRST000")
    wait_until(lambda: all_are_new(data, before))
    wait_until(lambda: ready(stack))


@contextlib.contextmanager
def frozen(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def kill_with_its_children(process: int) -> None:
    """PostgreSQL's backends outlive their killed parent for a moment, and answer."""
    children = psutil.Process(process).children(recursive=True)
    os.kill(process, signal.SIGKILL)
    psutil.wait_procs(children, timeout=30)


def all_are_new(data: Path, before: dict[str, int]) -> bool:
    now: dict[str, int] = json.loads((data / "stack.json").read_text())["pids"]
    changed = {name for name in now if now[name] != before[name]}
    return changed == before.keys() - {"supervisor"}


def test_a_start_that_fails_leaves_nothing_running(data: Path) -> None:
    said = refused("up", "--detach", "--data", str(data), LOG_LEVEL="LOUD")

    assert "LOG_LEVEL" in said
    with pytest.raises(FileNotFoundError):
        (data / "processes.json").read_text()
    assert not list(data.rglob("postmaster.pid"))
