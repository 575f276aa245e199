"""JSON as PostgreSQL stores it: jsonb holds neither NUL characters nor lone surrogates."""

import re
from typing import Any

import pydantic_core

_VERSION = b"\x01"
_ISOLATED_DEPTH = 3
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def encode(value: Any) -> bytes:
    """Return jsonb's binary form; characters that it cannot hold are replaced."""
    try:
        encoded = pydantic_core.to_json(value, inf_nan_mode="null")
    except (pydantic_core.PydanticSerializationError, UnicodeEncodeError):
        return _VERSION + pydantic_core.to_json(_storable(value), inf_nan_mode="null")
    # A literal backslash before `u0000` looks alike; that one survives the slow way unchanged.
    if b"\\u0000" in encoded:
        encoded = pydantic_core.to_json(_storable(value), inf_nan_mode="null")
    return _VERSION + encoded


def storable(value: Any) -> Any:
    """Return the value as plain JSON types, without what jsonb cannot hold."""
    return pydantic_core.from_json(encode(value).removeprefix(_VERSION))


def decode(data: bytes) -> Any:
    """Return the value of jsonb's binary form.

    Where a user's value is too deep or too large to be read, the object or list that holds it,
    two levels below the outermost, is null: one row must not make a whole answer unreadable.
    """
    return read(data[1:])


def read(text: bytes) -> Any:
    """Return the value of JSON that PostgreSQL has written, as `decode` does.

    Raises:
        ValueError: It is none.
    """
    try:
        return pydantic_core.from_json(text, cache_strings="keys")
    except ValueError:
        return pydantic_core.from_json(_readable(text))


def _readable(text: bytes) -> bytes:
    kept: list[bytes] = []
    depth = start = copied = 0
    for token in _TOKEN.finditer(text):
        if token[0] in b"[{":
            depth += 1
            if depth == _ISOLATED_DEPTH:
                start = token.start()
        elif token[0] in b"]}":
            if depth == _ISOLATED_DEPTH and not _is_readable(text[start : token.end()]):
                kept += (text[copied:start], b"null")
                copied = token.end()
            depth -= 1
    return b"".join((*kept, text[copied:]))


def _is_readable(text: bytes) -> bool:
    try:
        pydantic_core.from_json(text)
    except ValueError:
        return False
    return True


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _storable_text(value)
        case dict():
            return {_storable_text(str(key)): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case _:
            return value


def _storable_text(text: str) -> str:
    return (
        text.replace("\x00", _REPLACEMENT)
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
    )
