"""Which fields of a request are wrong, without a word of what was in them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_MOST = 5
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PROSE = {
    "missing": "is missing",
    "json_invalid": "is not JSON",
    "extra_forbidden": "has a field that is not known",
}


def describe_fields(problems: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence about the first few problems that pydantic found.

    Its own messages are left out: some quote the input.
    """
    found = [f"{_place(problem)} {_said(problem['type'])}" for problem in problems[:_MOST]]
    more = len(problems) - len(found)
    return "; ".join(found) + (f"; and {more} more." if more > 0 else ".")


def _said(kind: str) -> str:
    return _PROSE.get(kind) or f"is not valid ({kind})"


def _place(problem: Mapping[str, Any]) -> str:
    parts = list(problem["loc"])
    if problem["type"] in {"extra_forbidden", "json_invalid"}:
        # The name of the unknown field, or how far the parser came: both are the caller's.
        parts = parts[:-1]
    return ".".join(_shown(part) for part in parts) or "the request"


def _shown(part: int | str) -> str:
    if isinstance(part, int):
        return str(part)
    return part if _NAME.fullmatch(part) else "?"
