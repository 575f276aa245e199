"""Structured logs: one JSON object a line on standard error, errors also in a file."""

import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import structlog

from backend.telemetry import libraries
from backend.telemetry.defects import describe
from backend.telemetry.names import LOGS_UNWRITABLE
from backend.telemetry.rotating_file import RotatingFile

_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING}
_KEPT = frozenset({"error", "critical"})
_FILE = "errors.log"
_log = structlog.get_logger()


def configure(level: str, *, folder: str = "", process: str = "assistants") -> None:
    """Every logger of the process, libraries' too, writes JSON from this level up.

    Args:
        level: DEBUG, INFO, WARNING or ERROR; libraries are heard from WARNING up.
        folder: Where errors are kept as well, in `errors.log`; empty for nowhere. Processes of one
            machine may share it. One that cannot be written costs a warning and nothing else.
        process: What the file calls this process.
    """
    number = _LEVELS.get(level, logging.ERROR)
    kept, trouble = _open(folder)
    lines = _Lines(sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_texts,
            _Renderer(kept, f"{process}-{os.getpid()}"),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    libraries.listen(number)
    if trouble is not None:
        _log.warning(LOGS_UNWRITABLE, error=type(trouble).__name__)


def show() -> None:
    """What is logged goes to standard error, for people: a command's own output stays whole."""
    # Looked up at each line, because whoever calls a command may have put another one there.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _open(folder: str) -> tuple[RotatingFile | None, OSError | None]:
    try:
        return (RotatingFile(Path(folder) / _FILE) if folder else None), None
    except OSError as trouble:
        return None, trouble


def _without_texts(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    # Whoever hands an exception to a log means where it was, not what it quotes.
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exception()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event.update(describe(error))
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = type(value).__name__
    return event


class _Renderer:
    """Makes the line, and keeps those of errors."""

    def __init__(self, kept: RotatingFile | None, process: str) -> None:
        self._json = structlog.processors.JSONRenderer()
        self._kept = kept
        self._process = process

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str | bytes:
        if self._kept is not None and event["level"] in _KEPT:
            line = self._json(logger, method, {**event, "process": self._process})
            try:
                self._kept.append(str(line))
            except OSError as trouble:
                # A full disk must not stop the service; standard error has the line.
                self._kept = None
                _log.warning(LOGS_UNWRITABLE, error=type(trouble).__name__)
        return self._json(logger, method, event)


class _Lines:
    """Writes whole lines; a reader that has gone is no reason to fail."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._turn = threading.Lock()

    def msg(self, line: str) -> None:
        """The line has been written, where anybody reads it."""
        with self._turn, suppress(OSError, ValueError):
            self._file.write(f"{line}\n")
            self._file.flush()

    log = debug = info = warning = error = critical = exception = msg
