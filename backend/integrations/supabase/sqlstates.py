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
    SchemaMissing,
)

# Deadlock, serialisation failure.
_ROLLED_BACK = frozenset({"40P01", "40001"})
_LOCKED = "55P03"
_AWAY = "did not come through"
_INPUT = "refused its input"
# By the beginning of the state; the first that fits.
_KINDS: tuple[tuple[str, type[AssistantsError], str], ...] = (
    # Connection exceptions, operator intervention (also a statement timeout), no resources.
    ("08", DatabaseUnavailable, _AWAY),
    ("57", DatabaseUnavailable, _AWAY),
    ("53", DatabaseUnavailable, _AWAY),
    ("22", InputInvalid, _INPUT),
    ("23", InputInvalid, _INPUT),
)
# A function, table or schema that is not there.
_MISSING = frozenset({"42883", "42P01", "3F000"})
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
    if isinstance(error, ValueError) and isinstance(error, asyncpg.InterfaceError):
        return InputInvalid(f"{doing} was given an argument of another type.")
    if state := sqlstate_of(error):
        return meaning(state, str(error), doing=doing)
    return DatabaseUnavailable(f"{doing}: {type(error).__name__}")


def meaning(state: str, message: str, *, doing: str) -> AssistantsError:
    """Return our error for an SQLSTATE.

    Args:
        state: Five characters.
        message: The server's; taken over only where one of our functions raised it on purpose.
        doing: Which call failed.
    """
    if purpose := _ON_PURPOSE.get(state):
        return purpose(message)
    if state in _ROLLED_BACK or state == _LOCKED:
        said = f"{doing} did nothing because of other transactions ({state})."
        return DatabaseContended(said, rolled_back=state in _ROLLED_BACK)
    if state in _MISSING:
        return missing(doing, state)
    for beginning, kind, said in _KINDS:
        if state.startswith(beginning):
            return kind(f"{doing} {said} ({state}).")
    return DatabaseRejected(f"{doing} failed ({state}).", sqlstate=state)


def missing(doing: str, state: str) -> SchemaMissing:
    """Return the error for a project that lacks what this release calls."""
    return SchemaMissing(f"{doing} is not there ({state}): run `assistants migrate`.")
