"""What an answer of PostgREST, or of whatever stands in front of it, means for callers."""

import re
from http import HTTPStatus
from typing import Any

import httpx

from backend.errors import (
    AssistantsError,
    DatabaseRejected,
    DatabaseUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from backend.integrations.supabase import jsonb, whole_answers
from backend.integrations.supabase.sqlstates import meaning, missing

_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
# The schema is not exposed; no such function, no such table.
_MISSING = frozenset({"PGRST106", "PGRST202", "PGRST205"})
_TOKEN = frozenset({"PGRST300", "PGRST301", "PGRST302", "PGRST303"})
_PASSING = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
# What the publishable key is told in the secret one's place.
_NOT_FOR_THIS_KEY = "permission denied for function service_"


def read(response: httpx.Response, *, doing: str, of_caller: bool) -> Any:
    """Return what the function returned; None for one that returns nothing.

    Args:
        response: Whole.
        doing: Which function was called.
        of_caller: With a user's own token, or in their name.

    Raises:
        AssistantsError: What the answer says in our words; its own text may quote rows.

    Source:
        PostgREST's documentation, "Errors".
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return None
    said = _json(response)
    if response.is_success and said is not _NOTHING:
        return said
    code = said.get("code") if isinstance(said, dict) else None
    if isinstance(code, str):
        message = str(said.get("message") or "")
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and (
            of_caller or code == whole_answers.TOO_MANY
        ):
            raise _too_many(message, response)
        raise _of_postgrest(code[:20], message, response.status_code, doing, of_caller=of_caller)
    raise _of_gateway(
        response.status_code, doing, of_caller=of_caller, is_json=said is not _NOTHING
    )


_NOTHING = object()


def _json(response: httpx.Response) -> Any:
    if not response.headers.get("content-type", "").startswith("application/json"):
        return _NOTHING
    try:
        return jsonb.read(response.content)
    except ValueError:
        # Cut on its way, or nobody's.
        return _NOTHING


def _of_postgrest(
    code: str, message: str, status: int, doing: str, *, of_caller: bool
) -> AssistantsError:
    if code in _TOKEN:
        return Unauthenticated("refused_by_project") if of_caller else _key_refused(doing, code)
    if code in _MISSING:
        return missing(doing, code)
    if not of_caller and message.startswith(_NOT_FOR_THIS_KEY):
        return _key_refused(doing, code)
    if _SQLSTATE.fullmatch(code):
        return meaning(code, message, doing=doing)
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DatabaseUnavailable(f"{doing} was not answered by the database ({code}).")
    return DatabaseRejected(f"{doing} failed ({code}).", sqlstate=code)


def _too_many(message: str, response: httpx.Response) -> TooManyRequests:
    wait_s = whole_answers.wait_s(response.headers.get("retry-after"))
    return TooManyRequests(whole_answers.short(message), retry_after_s=wait_s)


def _of_gateway(status: int, doing: str, *, of_caller: bool, is_json: bool) -> AssistantsError:
    code = f"HTTP {status}"
    if status == HTTPStatus.UNAUTHORIZED and is_json:
        return _key_refused(doing, code, publishable=of_caller)
    # A page for people, or a proxy's word: what it says may pass.
    return DatabaseUnavailable(
        f"{doing} was not answered by a Data API below SUPABASE_URL ({code})."
    )


def _key_refused(doing: str, code: str, *, publishable: bool = False) -> DatabaseRejected:
    name = "SUPABASE_PUBLISHABLE_KEY" if publishable else "SUPABASE_SECRET_KEY"
    return DatabaseRejected(
        f"{doing}: the project refuses the key ({code}): see {name}.", sqlstate=code
    )
