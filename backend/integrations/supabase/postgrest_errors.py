"""What an error of PostgREST, or of whatever stands in front of it, means for callers."""

import json
import re
from http import HTTPStatus

import httpx
from postgrest import APIError

from backend.errors import (
    AssistantsError,
    DatabaseRejected,
    DatabaseUnavailable,
    InputInvalid,
    Unauthenticated,
)
from backend.integrations.supabase.sqlstates import meaning, missing

_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
# No connection to the database, none left in its pool, no schema cache.
_UNAVAILABLE = frozenset({"PGRST000", "PGRST001", "PGRST002", "PGRST003"})
# The schema is not exposed; no such function, no such table.
_MISSING = frozenset({"PGRST106", "PGRST202", "PGRST205"})
_TOKEN = frozenset({"PGRST300", "PGRST301", "PGRST302", "PGRST303"})
_BODY = frozenset({"PGRST102"})
_PASSING = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


async def check_origin(response: httpx.Response) -> None:
    """Return quietly if PostgREST answered; a hook of the client, before the answer is read.

    Raises:
        APIError: A gateway or a proxy answered; the code is `HTTP` and the status.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return
    if response.headers.get("content-type", "").startswith("application/json"):
        if response.is_success:
            return
        await response.aread()
        if _has_code(response.content):
            return
    raise APIError({"code": f"HTTP{response.status_code}"})


def translate(error: APIError, *, doing: str, of_caller: bool) -> AssistantsError:
    """Return our error; what the server says may quote rows and is left out.

    Args:
        error: With PostgREST's code, PostgreSQL's SQLSTATE or `HTTP` and a status.
        doing: Which function was called.
        of_caller: With a user's own token, or in their name.

    Source:
        PostgREST's documentation, "Errors".
    """
    code = str(error.code or "")
    if code.startswith("HTTP"):
        return _of_gateway(int(code.removeprefix("HTTP")), doing)
    if _SQLSTATE.fullmatch(code):
        return meaning(code, error.message or "", doing=doing)
    return _of_postgrest(code[:20], doing, of_caller=of_caller)


def _of_postgrest(code: str, doing: str, *, of_caller: bool) -> AssistantsError:
    if code in _TOKEN:
        return Unauthenticated("refused_by_project") if of_caller else _key_refused(doing, code)
    if code in _UNAVAILABLE or code.startswith("PGRSTX"):
        return DatabaseUnavailable(f"{doing}: {code}")
    if code in _MISSING:
        return missing(doing, code)
    if code in _BODY:
        return InputInvalid(f"{doing} was given what is no JSON ({code}).")
    return DatabaseRejected(f"{doing} failed ({code}).", sqlstate=code)


def _of_gateway(status: int, doing: str) -> AssistantsError:
    code = f"HTTP {status}"
    if status in _REFUSED:
        return _key_refused(doing, code)
    if (
        status in _PASSING
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status < HTTPStatus.MULTIPLE_CHOICES
    ):
        return DatabaseUnavailable(f"{doing} was not answered by the Data API ({code}).")
    message = f"{doing}: there is no Data API below SUPABASE_URL ({code})."
    return DatabaseRejected(message, sqlstate=code)


def _key_refused(doing: str, code: str) -> DatabaseRejected:
    message = f"{doing}: the project refuses the key ({code}): see SUPABASE_SECRET_KEY."
    return DatabaseRejected(message, sqlstate=code)


def _has_code(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("code"), str)
