"""Work in a forked copy of this process, so that what it imports is gone with it."""

import os
import signal
from collections.abc import Callable

from backend.devkit.process import identify, stop
from backend.errors import AssistantsError, LocalStackFailed

_MESSAGE_BYTES = 8000


class Preparation:
    """A function that runs beside this process until `finish`.

    Must be started before this process has threads.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reading)
            _run(work, writing)
        os.close(writing)
        self._process = identify(self._pid)

    def finish(self) -> None:
        """The function has returned.

        Raises:
            LocalStackFailed: It raised; the message is its.
        """
        with os.fdopen(self._reading, "rb") as pipe:
            message = pipe.read(_MESSAGE_BYTES).decode(errors="replace")
        _, status = os.waitpid(self._pid, 0)
        if status != 0:
            raise LocalStackFailed(message or f"The preparation ended with {status}.")

    def abandon(self) -> None:
        """The function does not run any more."""
        stop(self._process, patience_s=0)


def _run(work: Callable[[], None], writing: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    status = 1
    try:
        work()
        status = 0
    except AssistantsError as error:
        os.write(writing, str(error).encode()[:_MESSAGE_BYTES])
    except Exception as error:  # noqa: BLE001 - the parent says it, a traceback would not
        os.write(writing, f"{type(error).__name__}: {error}".encode()[:_MESSAGE_BYTES])
    finally:
        os._exit(status)
