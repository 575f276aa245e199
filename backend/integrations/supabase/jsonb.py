"""JSON as PostgreSQL stores it: jsonb holds neither NUL characters nor lone surrogates."""

from typing import Any

import pydantic_core

_VERSION = b"\x01"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def encode(value: Any) -> bytes:
    """Return jsonb's binary form; characters that it cannot hold are replaced."""
    try:
        encoded = pydantic_core.to_json(value)
    except (pydantic_core.PydanticSerializationError, UnicodeEncodeError):
        return _VERSION + pydantic_core.to_json(_storable(value))
    # A literal backslash before `u0000` looks alike; that one survives the slow way unchanged.
    if b"\\u0000" in encoded:
        encoded = pydantic_core.to_json(_storable(value))
    return _VERSION + encoded


def decode(data: bytes) -> Any:
    """Return the value of jsonb's binary form."""
    return pydantic_core.from_json(memoryview(data)[1:].tobytes(), cache_strings="keys")


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
