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


class LibraryHandler(logging.Handler):
    """Writes a record of the standard library's logging as an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep logger, level and place; the message and the exception's text may quote anything."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return
        keys = describe(error) if error else {"place": f"{record.module}:{record.lineno}"}
        write = _log.error if record.levelno >= logging.ERROR else _log.warning
        write(LIBRARY_WARNED, logger=record.name, **keys)


def listen(level: int) -> None:
    """Every logger, warning and uncaught exception of the process goes through our log.

    Args:
        level: From here up; libraries tell too much below a warning.
    """
    # A record that cannot be formatted would print itself and its arguments.
    logging.raiseExceptions = False
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
