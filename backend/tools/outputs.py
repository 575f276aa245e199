"""What the database stores of arguments and outputs: plain JSON, of a bounded size and depth."""

import math
from typing import Any

import pydantic_core

from backend.domain.json_values import Json

MAX_BYTES = 256 * 1024
"""As PostgreSQL holds it or writes it out, whatever is more: numbers are written in full."""
MAX_DEPTH = 48
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LARGEST, _SMALLEST = 1e300, 1e-300


class Unusable(ValueError):
    """The value is no JSON, or too much of it; the message is for the model."""


def plain(value: Any) -> Json:
    """Return the value as JSON that the database stores.

    NUL characters and lone surrogates are replaced; a number that no double holds, or that is none,
    is null.

    Raises:
        Unusable: It is no JSON, too large or nested too deeply.
    """
    return _Cleaning().clean(value, 0)


class _Cleaning:
    """Cleans one value, and stops as soon as it is too much."""

    def __init__(self) -> None:
        self._left = MAX_BYTES

    def clean(self, value: Any, depth: int) -> Json:
        if depth > MAX_DEPTH:
            raise Unusable(f"It is nested more than {MAX_DEPTH} levels deep.")
        match value:
            case None | bool():
                self._spend(5)
                return value
            case str():
                return self._text(str(value))
            case int() | float():
                return self._number(value)
            case dict():
                self._spend(8)
                return {self._name(key): self.clean(it, depth + 1) for key, it in value.items()}
            case list() | tuple():
                self._spend(8)
                return [self._item(it, depth + 1) for it in value]
            case _:
                return self.clean(_as_json(value), depth)

    def _name(self, key: Any) -> str:
        self._spend(10)
        return self._text(key if isinstance(key, str) else str(_as_json(key)))

    def _item(self, value: Any, depth: int) -> Json:
        self._spend(4)
        return self.clean(value, depth)

    def _text(self, text: str) -> str:
        # Before anything else is done with it: a gigabyte is not looked at.
        self._spend(len(text))
        if "\x00" in text or not text.isascii():
            text = text.replace("\x00", _REPLACEMENT)
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._spend(len(pydantic_core.to_json(text)) - len(text))
        return text

    def _number(self, value: float) -> Json:
        size = abs(value)
        is_held = size <= _LARGEST and (size == 0 or size >= _SMALLEST)
        if not is_held or (isinstance(value, float) and not math.isfinite(value)):
            self._spend(4)
            return None
        exponent = 0 if size == 0 else abs(math.floor(math.log10(size)))
        self._spend(exponent + 20)
        return value

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise Unusable(f"It is larger than {MAX_BYTES // 1024} KB: ask for less.")


def _as_json(value: Any) -> Any:
    try:
        found = pydantic_core.to_jsonable_python(value)
    except (ValueError, TypeError, RecursionError):
        raise Unusable(f"It is no JSON but {type(value).__name__}.") from None
    if type(found) is type(value):
        raise Unusable(f"It is no JSON but {type(value).__name__}.")
    return found
