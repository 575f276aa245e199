"""Runs a stack in this process or in one of its own, and stops either."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from backend.devkit import leftovers
from backend.devkit.folder import StackFolder
from backend.devkit.interruption import Interruption
from backend.devkit.portbook import PortBook
from backend.devkit.ports import LOOPBACK
from backend.devkit.process import identify, stop, wait_until_forgotten
from backend.devkit.stack import Composition, Stack, Wishes
from backend.errors import AssistantsError, LocalStackFailed

# Its workers drain for up to 35 s, its database stops within 30 s.
_STOP_S = 90.0
_FORGET_S = 2.0


def run(
    folder: StackFolder,
    composition: Composition,
    wishes: Wishes,
    on_ready: Callable[[dict[str, Any]], None],
) -> None:
    """Return when the stack was asked to stop and nothing of it runs any more.

    Args:
        folder: Where the data lies; made when missing.
        composition: What the stack runs.
        wishes: What the caller asked for.
        on_ready: Called once, with what `stack.json` says.

    Raises:
        LocalStackFailed: A stack runs here already, or a part did not start.
    """
    began_s = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began_s:6.1f} s  {text}\n")
        sys.stderr.flush()

    interruption = Interruption()
    interruption.watch()
    folder.create()
    with folder.locked() as is_mine:
        if not is_mine:
            raise LocalStackFailed(_refusal(folder))
        if stopped := leftovers.clear(folder):
            say(f"stopped what an earlier stack had left: {', '.join(stopped)}")
        stack = Stack(folder, composition, wishes, interruption, say)
        description = stack.start()
        try:
            on_ready(description)
            stack.watch()
            say("stopping")
        finally:
            stack.stop()
        say("stopped")


def run_detached(folder: StackFolder, composition: Composition, wishes: Wishes) -> dict[str, Any]:
    """Return what `stack.json` says once the stack is ready; it outlives this process.

    Raises:
        LocalStackFailed: As `run` does.
    """
    folder.create()
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _become_supervisor(folder, composition, wishes, writing)
    os.close(writing)
    return _outcome(reading, pid)


def running(folder: StackFolder) -> dict[str, Any] | None:
    """Return what the running stack says of itself, or None if none is ready."""
    if not folder.exists or not folder.is_locked:
        return None
    return folder.read_stack() or None


def issuer_url(folder: StackFolder) -> str | None:
    """Return the issuer of this folder's stack, whatever its notes say; None if it has none."""
    port = PortBook(folder.ports).remembered("issuer")
    return f"http://{LOOPBACK}:{port}" if port and folder.issuer_key.exists() else None


def shut_down(folder: StackFolder) -> bool:
    """Return whether something ran; nothing of the stack runs any more.

    Raises:
        LocalStackFailed: It belongs to another account.
    """
    if not folder.exists:
        return False
    supervisor = folder.read_processes().get("supervisor")
    was_running = supervisor is not None and supervisor.is_alive
    try:
        if supervisor is not None:
            stop(supervisor, patience_s=_STOP_S)
            wait_until_forgotten(supervisor, _FORGET_S)
    except PermissionError as error:
        raise LocalStackFailed(f"What runs in {folder.path} belongs to another account.") from error
    with folder.locked() as is_mine:
        if not is_mine:
            raise LocalStackFailed(_refusal(folder))
        return bool(leftovers.clear(folder)) or was_running


def _refusal(folder: StackFolder) -> str:
    if folder.read_stack():
        advice = f"stop it with `assistants down --data {folder.path}`"
        return f"A stack already runs in {folder.path}: {advice}."
    return f"A stack in {folder.path} is being started or stopped: try again in a moment."


def _become_supervisor(
    folder: StackFolder, composition: Composition, wishes: Wishes, writing: int
) -> None:
    os.setsid()
    os.chdir("/")
    result = os.fdopen(writing, "w", encoding="utf-8")

    def on_ready(description: dict[str, Any]) -> None:
        json.dump({"ready": description}, result)
        # Whoever waits for the end of our output must not wait for the end of the stack.
        _redirect(folder)
        result.close()

    status = 1
    try:
        run(folder, composition, wishes, on_ready)
        status = 0
    except AssistantsError as error:
        _tell(result, str(error))
    except Exception as error:  # noqa: BLE001 - nobody else would hear of it
        _tell(result, f"The stack failed: {type(error).__name__}: {error}")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _tell(result: TextIO, failure: str) -> None:
    if result.closed:
        sys.stderr.write(f"{failure}\n")
    else:
        json.dump({"failed": failure}, result)
        result.close()


def _redirect(folder: StackFolder) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(folder.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)


def _outcome(reading: int, pid: int) -> dict[str, Any]:
    try:
        with os.fdopen(reading, encoding="utf-8") as pipe:
            answer = pipe.read()
    except KeyboardInterrupt:
        stop(identify(pid), patience_s=_STOP_S)
        raise LocalStackFailed("The start was interrupted.") from None
    told: dict[str, Any] = json.loads(answer) if answer else {}
    if "ready" in told:
        return dict(told["ready"])
    os.waitpid(pid, 0)
    raise LocalStackFailed(told.get("failed", "The stack ended while it was being started."))
