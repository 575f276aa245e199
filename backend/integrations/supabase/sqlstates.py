"""What an error of PostgreSQL or of the connection to it means for callers."""

import asyncpg

from backend.errors import (
    AssistantsError,
    Conflict,
    DatabaseContended,
    DatabaseRejected,
    DatabaseUnavailable,
    InputInvalid,
    NotFound,
    NotPermitted,
)

ROLLED_BACK = frozenset({"40P01", "40001"})
"""Deadlock, serialisation failure: nothing happened, and the next try may work at once."""
_LOCKED = "55P03"

# Connection exceptions, operator intervention (also a statement timeout), no resources.
_UNAVAILABLE_CLASSES = ("08", "57", "53")
# What functions raise on purpose; their messages are ours and quote no rows.
_ON_PURPOSE: dict[str, type[AssistantsError]] = {
    "42501": NotPermitted,
    "23514": InputInvalid,
    "PT404": NotFound,
    "PT409": Conflict,
}

CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A connection whose end has been announced and has not come yet.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE, or the empty string for an error that has none."""
    return str(getattr(error, "sqlstate", None) or "")


def translate(error: Exception, *, doing: str) -> AssistantsError:
    """Return our error for the driver's; the server's own text may quote rows and is left out.

    Args:
        error: What asyncpg or the socket raised.
        doing: Which call failed, for the message: a function's name, never its arguments.
    """
    state = sqlstate_of(error)
    if isinstance(error, ValueError) and isinstance(error, asyncpg.InterfaceError):
        return InputInvalid(f"{doing} was given an argument of another type.")
    if state in ROLLED_BACK or state == _LOCKED:
        return DatabaseContended(f"{doing} did nothing because of other transactions ({state}).")
    if not state or state.startswith(_UNAVAILABLE_CLASSES):
        return DatabaseUnavailable(f"{doing}: {type(error).__name__} {state}".rstrip())
    if purpose := _ON_PURPOSE.get(state):
        return purpose(str(error))
    if state.startswith(("22", "23")):
        return InputInvalid(f"{doing} refused its input ({state}).")
    return DatabaseRejected(f"{doing} failed ({state}).", sqlstate=state)
