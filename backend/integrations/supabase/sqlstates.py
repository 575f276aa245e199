"""What an error of PostgreSQL or of the connection to it means for callers."""

from collections.abc import Callable
from functools import partial
from socket import gaierror
from urllib.parse import urlsplit

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
    TooManyRequests,
)
from backend.integrations.supabase import whole_answers

# Deadlock, serialisation failure.
_ROLLED_BACK = frozenset({"40P01", "40001"})
_LOCKED = "55P03"
_WHOLE_ANSWER = "PGRST"
_AWAY = "did not come through"
_INPUT = "refused its input"
# By the beginning of the state; the first that fits.
_KINDS: tuple[tuple[str, type[AssistantsError], str], ...] = (
    # Connection exceptions, operator intervention (also a statement timeout), no resources.
    (
        "08P01",
        DatabaseUnavailable,
        "was refused by the server or a pooler: the login, or an option in its URL",
    ),
    ("08", DatabaseUnavailable, _AWAY),
    ("57", DatabaseUnavailable, _AWAY),
    ("53", DatabaseUnavailable, _AWAY),
    ("22", InputInvalid, _INPUT),
    ("23", InputInvalid, _INPUT),
)
# A prepared statement that is there already, or not any more.
_STATEMENTS = frozenset({"42P05", "26000"})
# A function, table or schema that is not there.
_MISSING = frozenset({"42883", "42P01", "3F000"})
# What functions raise on purpose; their messages are ours and quote no rows.
_ON_PURPOSE: dict[str, Callable[[str], AssistantsError]] = {
    "42501": NotPermitted,
    "23514": InputInvalid,
    "PT404": NotFound,
    "PT409": Conflict,
    # Without a header that says when.
    "PT429": partial(TooManyRequests, retry_after_s=1.0),
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


def place_of(url: str) -> str:
    """Return host and port of a database's URL, without login and password."""
    return urlsplit(url).netloc.rpartition("@")[2] or "its socket"


def translate(error: Exception, *, doing: str, where: str = "the database") -> AssistantsError:
    """Return our error for the driver's; the server's own text may quote rows and is left out.

    Args:
        error: What asyncpg or the socket raised.
        doing: Which call failed, for the message: a function's name, never its arguments.
        where: Host and port.
    """
    if isinstance(error, ValueError) and isinstance(error, asyncpg.InterfaceError):
        return InputInvalid(f"{doing} was given an argument of another type.")
    if (state := sqlstate_of(error)) == _WHOLE_ANSWER:
        return _of_whole_answer(error, doing)
    if state:
        return meaning(state, str(error), doing=doing)
    if isinstance(error, gaierror):
        return DatabaseUnavailable(f"{doing}: the host of {where} is not known here.")
    return DatabaseUnavailable(f"{doing}: no answer from {where} ({type(error).__name__}).")


def _of_whole_answer(error: Exception, doing: str) -> AssistantsError:
    said = whole_answers.read(getattr(error, "message", None), getattr(error, "detail", None))
    if said is None:
        return meaning(_WHOLE_ANSWER, "", doing=doing)
    if said.code == whole_answers.TOO_MANY:
        return TooManyRequests(said.message, retry_after_s=said.retry_after_s)
    return meaning(said.code, said.message, doing=doing)


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
    if state in _STATEMENTS:
        said = (
            "a pooler in transaction mode stands in between: set DATABASE_TRANSACTION_POOLER=true"
        )
        return DatabaseRejected(f"{doing} failed ({state}): {said}.", sqlstate=state)
    for beginning, kind, said in _KINDS:
        if state.startswith(beginning):
            return kind(f"{doing} {said} ({state}).")
    return DatabaseRejected(f"{doing} failed ({state[:20]}).", sqlstate=state[:20])


def missing(doing: str, state: str) -> SchemaMissing:
    """Return the error for a project that lacks what this release calls."""
    return SchemaMissing(f"{doing} is not there ({state}): run `assistants migrate`.")
