"""From arguments that a model wrote to path, query, headers and body, and to nothing else."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from backend.domain.json_values import Json
from backend.errors import ToolRefused
from backend.integrations.openapi.document import OperationUnusable

_HEADER = re.compile(r"[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,2000}")
_RESERVED_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_RESERVED_PREFIXES = ("proxy-", "sec-", "x-forwarded-", "x-http-method", "x-original-", "x-real-")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument, and where it goes."""

    argument: str
    """Its name among the arguments."""
    name: str
    """Its name in the API."""
    place: str
    """`path`, `query` or `header`."""
    explode: bool = True
    """A list is several values, not one with commas."""
    is_deep: bool = False
    """An object is several values, `name[key]`."""


def parameter_of(given: Mapping[str, Any], argument: str) -> Parameter | None:
    """Return the parameter; none for one that no argument may be.

    Raises:
        OperationUnusable: It cannot be sent, and the API demands it.
    """
    place, name = str(given.get("in")), str(given.get("name"))
    is_sent = place in ("path", "query") or (place == "header" and _may_be_sent(name))
    if not is_sent:
        # That header is ours or the operator's to send, whatever the document says.
        if place == "cookie" and given.get("required") is True:
            raise OperationUnusable("it demands a cookie")
        return None
    style = given.get("style", "form" if place == "query" else "simple")
    explode = given.get("explode", style == "form") is True
    if "content" not in given and style not in ("form", "simple", "deepObject"):
        raise OperationUnusable("it demands a style that is not known")
    return Parameter(argument, name, place, explode, is_deep=style == "deepObject")


def path_of(template: str, parameters: Mapping[Parameter, Json]) -> str:
    """Return the path with the values in it, none of which leads out of its place.

    Raises:
        ToolRefused: One of them would.
    """
    values = {
        it.name: _segment(it, value) for it, value in parameters.items() if it.place == "path"
    }
    parts = re.split(r"\{([^{}]*)\}", template)
    found = [values[part] if number % 2 else part for number, part in enumerate(parts)]
    return "".join(found)


def query_of(parameters: Mapping[Parameter, Json]) -> list[tuple[str, str]]:
    """Return the pairs of the query, in the order of the parameters."""
    return [
        pair
        for it, value in parameters.items()
        if it.place == "query"
        for pair in _pairs(it, value)
    ]


def headers_of(parameters: Mapping[Parameter, Json]) -> dict[str, str]:
    """Return the headers.

    Raises:
        ToolRefused: A value holds what no header can.
    """
    found = {}
    for it, value in parameters.items():
        if it.place == "header":
            text = _joined(value)
            if not _HEADER_VALUE.fullmatch(text):
                raise ToolRefused(f"{it.argument} can only hold plain characters.")
            found[it.name.lower()] = text
    return found


def form_of(body: Json) -> bytes:
    """Return the body as a form.

    Raises:
        ToolRefused: It is no object.
    """
    if not isinstance(body, Mapping):
        raise ToolRefused("body has to be an object.")
    pairs = [(name, _plain(it)) for name, value in body.items() for it in _each(value)]
    return urlencode(pairs).encode()


def _may_be_sent(name: str) -> bool:
    lower = name.lower()
    is_ours = lower in _RESERVED_HEADERS or lower.startswith(_RESERVED_PREFIXES)
    return _HEADER.fullmatch(name) is not None and not is_ours


def _segment(parameter: Parameter, value: Json) -> str:
    text = _joined(value)
    # A server may unpack it before it looks which of its addresses is meant, and once more after.
    meant = unquote(unquote(text))
    if meant in ("", ".", "..") or _CONTROL.search(meant) or set(meant) & set("/\\"):
        raise ToolRefused(f"{parameter.argument} cannot be empty, a path, or part of one.")
    return quote(text, safe="")


def _pairs(parameter: Parameter, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and parameter.is_deep:
        for key, item in value.items():
            yield from ((f"{parameter.name}[{key}]", _plain(it)) for it in _each(item))
    elif parameter.explode:
        yield from ((parameter.name, _plain(it)) for it in _each(value))
    else:
        yield parameter.name, _joined(value)


def _each(value: Json) -> Iterator[Json]:
    if isinstance(value, list | tuple):
        yield from value
    else:
        yield value


def _joined(value: Json) -> str:
    return ",".join(_plain(it) for it in _each(value))


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
