"""What libraries log, warn and raise, in our words: where it was, never what it said."""

import asyncio
import logging
import sys
import threading
from types import TracebackType
from typing import Any

import structlog

from backend.telemetry.defects import describe, places
from backend.telemetry.names import LIBRARY_WARNED, PROCESS_BROKE

_log = structlog.get_logger()
_FRAMES = 12
_PLACES = 1000
_SILENT_S = 1.0


class LibraryHandler(logging.Handler):
    """Writes a record of the standard library's logging as an event of ours."""

    def __init__(self) -> None:
        super().__init__()
        self._next_at: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep logger, level and place; the message and the exception's text may quote anything."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return
        keys = describe(error) if error else {"place": f"{record.module}:{record.lineno}"}
        if not self._is_due((record.name, keys["place"]), record.created):
            return
        write = _log.error if record.levelno >= logging.ERROR else _log.warning
        write(LIBRARY_WARNED, logger=record.name, **keys)

    def _is_due(self, source: tuple[str, str], now_s: float) -> bool:
        """Return whether this place was silent for a second: a loop of errors must not be a flood."""
        if now_s < self._next_at.get(source, 0.0):
            return False
        if len(self._next_at) >= _PLACES:
            self._next_at.clear()
        self._next_at[source] = now_s + _SILENT_S
        return True


def listen(level: int) -> None:
    """Every logger, warning and uncaught exception of the process goes through our log.

    Args:
        level: From here up; libraries tell too much below a warning.
    """
    logging.basicConfig(handlers=[LibraryHandler()], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_crash
    sys.unraisablehook = lambda it: _on_crash(it.exc_type, it.exc_value, it.exc_traceback)
    threading.excepthook = lambda it: _on_crash(it.exc_type, it.exc_value, it.exc_traceback)


def _on_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> Any:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    keys = describe(error.with_traceback(trace)) if error else {"error": kind.__name__}
    _log.critical(PROCESS_BROKE, stack=places(trace)[-_FRAMES:], **keys)
