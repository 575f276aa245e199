"""JSON objects that every parser reads alike and PostgreSQL can store."""

import json
import math
import re
from typing import Any, NoReturn

_MOST_DEPTH = 16
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_object(data: bytes) -> dict[str, Any]:
    """Return the object.

    Raises:
        ValueError: It is none, names a member twice, is nested too deeply, or holds NaN, an
            infinity, a NUL or a lone surrogate. The message may quote it: not for the log.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_members,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("The nesting is too deep.") from None
    if not isinstance(value, dict) or not _is_storable(value, _MOST_DEPTH):
        raise ValueError("This is no object that can be stored.")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two members with one name parsers take the first, the last, or both.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("A member is named twice.")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("A number is too large.")
    return number


def _is_storable(value: Any, depth: int) -> bool:
    match value:
        case str():
            return not _UNSTORABLE.search(value)
        case dict():
            return depth > 0 and all(
                _is_storable(name, depth) and _is_storable(member, depth - 1)
                for name, member in value.items()
            )
        case list():
            return depth > 0 and all(_is_storable(item, depth - 1) for item in value)
        case _:
            return True
