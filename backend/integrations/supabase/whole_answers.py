"""SQLSTATE `PGRST`: a function of the database says the whole HTTP answer, as JSON in two texts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

TOO_MANY = "PT429"
_MAX_WAIT_S = 86400.0
_LEAST_WAIT_S = 1.0
_MAX_CHARACTERS = 300


@dataclass(frozen=True)
class WholeAnswer:
    """What such a function has said; PostgREST would answer with it."""

    code: str
    """`PT429` for every answer of that status, else the function's own."""
    message: str
    retry_after_s: float


def read(message: object, detail: object) -> WholeAnswer | None:
    """Return the answer, or none where PostgREST could not make one of it either.

    Args:
        message: Should be a JSON object with `code` and `message`.
        detail: Should be a JSON object with `status` and `headers`.

    Source:
        PostgREST's documentation, "Errors: raise errors with HTTP status codes and headers".
    """
    body, answer = _object(message), _object(detail)
    code, said = body.get("code"), body.get("message")
    status, headers = answer.get("status"), answer.get("headers")
    if not (isinstance(code, str) and isinstance(said, str) and isinstance(headers, dict)):
        return None
    if type(status) is not int:
        return None
    too_many = status == HTTPStatus.TOO_MANY_REQUESTS
    values = (value for name, value in headers.items() if name.lower() == "retry-after")
    return WholeAnswer(TOO_MANY if too_many else code, short(said), wait_s(next(values, None)))


def wait_s(header: object) -> float:
    """Return the seconds that `Retry-After` asks for, within a day; one second for a date or none."""
    if not (isinstance(header, str) and header.isascii() and header.isdigit()):
        return _LEAST_WAIT_S
    # Longer texts are more than a day, and perhaps more than an integer takes.
    return min(max(float(header[:20]), _LEAST_WAIT_S), _MAX_WAIT_S)


def short(said: object) -> str:
    """Return the message, cut where no sentence of ours ends so late."""
    return str(said)[:_MAX_CHARACTERS]


def _object(text: object) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
