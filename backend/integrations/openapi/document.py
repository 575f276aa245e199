"""An OpenAPI 3 document, which may be anybody's: what is not understood is left out, never guessed.

Source:
    OpenAPI Specification 3.0.4 and 3.1.1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

MAX_BYTES = 4_000_000
_MOST_OPERATIONS = 300
_MOST_DEFINITIONS = 100
_MOST_LEVELS = 32
_MOST_PARTS = 5000
_METHODS = ("get", "put", "post", "delete", "patch", "head")
_SCHEMAS = "#/components/schemas/"
_VARIABLE = re.compile(r"\{([^{}]+)\}")


class DocumentInvalid(ValueError):
    """It is no OpenAPI 3 document; the message says why, in words of ours."""


class OperationUnusable(ValueError):
    """An operation that needs what we do not do."""


@dataclass(frozen=True, slots=True)
class Described:
    """One operation, as it stands in the document."""

    method: str
    path: str
    id: str
    """Its own, or made of method and path."""
    description: str
    parameters: tuple[Mapping[str, Any], ...]
    """Of the path and of the operation, without references."""
    body: Mapping[str, Any] | None


class Document:
    """A document that was read."""

    def __init__(self, text: bytes) -> None:
        """Ready.

        Raises:
            DocumentInvalid: It is none.
        """
        if len(text) > MAX_BYTES:
            raise DocumentInvalid(f"it is larger than {MAX_BYTES} bytes")
        try:
            root = pydantic_core.from_json(text)
        except ValueError:
            raise DocumentInvalid("it is no JSON (YAML has to be converted)") from None
        if not isinstance(root, dict) or not str(root.get("openapi", "")).startswith("3."):
            raise DocumentInvalid("it does not say that it is OpenAPI 3")
        self._root = root
        self._left = 0

    def server(self) -> str:
        """Return the address of its first server, its variables at their defaults; empty for none."""
        servers = _list(self._root.get("servers"))
        first = servers[0] if servers and isinstance(servers[0], dict) else {}
        variables = _object(first.get("variables"))
        return _VARIABLE.sub(
            lambda name: str(_object(variables.get(name[1])).get("default", "")),
            str(first.get("url", "")),
        )

    def operations(self) -> Iterator[Described | OperationUnusable]:
        """Yield each operation, or why it cannot be used; at most three hundred."""
        count = 0
        for path, item in _object(self._root.get("paths")).items():
            for method in _METHODS:
                if not isinstance(_object(item).get(method), dict):
                    continue
                count += 1
                if count > _MOST_OPERATIONS:
                    yield OperationUnusable("there are too many")
                    return
                try:
                    yield self._described(path, method, item)
                except OperationUnusable as unusable:
                    yield unusable

    def schema(self, given: Any) -> dict[str, Any]:
        """Return JSON schema 2020-12 with what it refers to beside it, under `$defs`.

        Raises:
            OperationUnusable: It refers to another document, or is too much.
        """
        found: dict[str, Any] = {}
        self._left = _MOST_PARTS
        made = self._translated(given, found, 0)
        return {**made, "$defs": found} if found else made

    def _described(self, path: str, method: str, item: Mapping[str, Any]) -> Described:
        operation = item[method]
        if "servers" in operation or "servers" in item:
            raise OperationUnusable("it has a server of its own")
        inherited = {_key(it): it for it in map(self._resolved, _list(item.get("parameters")))}
        own = {_key(it): it for it in map(self._resolved, _list(operation.get("parameters")))}
        body = operation.get("requestBody")
        words = (operation.get("summary"), operation.get("description"))
        return Described(
            method=method.upper(),
            path=str(path),
            id=str(operation.get("operationId") or f"{method}_{path.strip('/')}"),
            description="\n\n".join(it for it in words if isinstance(it, str) and it),
            parameters=tuple({**inherited, **own}.values()),
            body=None if body is None else self._resolved(body),
        )

    def _resolved(self, given: Any) -> Mapping[str, Any]:
        for _ in range(_MOST_LEVELS):
            if not isinstance(given, dict):
                break
            if "$ref" not in given:
                return given
            given = self._at(given["$ref"])
        raise OperationUnusable("it refers to what is not there")

    def _at(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise OperationUnusable("it refers to another document")
        found: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise OperationUnusable("it refers to what is not there")
            found = found[name]
        return found

    def _translated(self, given: Any, found: dict[str, Any], level: int) -> dict[str, Any]:
        if level > _MOST_LEVELS:
            raise OperationUnusable("its schema is nested too deeply")
        self._left -= 1
        if self._left < 0:
            raise OperationUnusable("its schema is too large")
        if not isinstance(given, dict):
            raise OperationUnusable("its schema is none")
        if isinstance(given.get("$ref"), str):
            return {"$ref": self._defined(given["$ref"], found, level)}
        made = {name: self._part(name, it, found, level) for name, it in given.items()}
        return _modern({name: it for name, it in made.items() if name in _KEYWORDS})

    def _part(self, name: str, value: Any, found: dict[str, Any], level: int) -> Any:
        if name in _OF_SCHEMAS and isinstance(value, dict):
            return {key: self._translated(it, found, level + 1) for key, it in value.items()}
        if name in _LISTS_OF_SCHEMAS and isinstance(value, list):
            return [self._translated(it, found, level + 1) for it in value]
        if name in _SCHEMA and not isinstance(value, bool):
            return self._translated(value, found, level + 1)
        return value

    def _defined(self, reference: str, found: dict[str, Any], level: int) -> str:
        if not reference.startswith(_SCHEMAS):
            raise OperationUnusable("its schema refers to another document")
        name = re.sub(r"[^a-zA-Z0-9_.-]", "_", reference.removeprefix(_SCHEMAS))
        if name not in found:
            if len(found) == _MOST_DEFINITIONS:
                raise OperationUnusable("its schema refers to too much")
            # In its place before it is known, as it may refer to itself.
            found[name] = {}
            found[name] = self._translated(self._at(reference), found, level + 1)
        return f"#/$defs/{name}"


_SCHEMA = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
)
_OF_SCHEMAS = frozenset({"properties", "patternProperties"})
_LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_KEYWORDS = (
    _SCHEMA
    | _OF_SCHEMAS
    | _LISTS_OF_SCHEMAS
    | {"type", "nullable", "enum", "const", "default", "title", "description", "format", "pattern"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "required"}
    | {"minLength", "maxLength", "minItems", "maxItems", "uniqueItems"}
    | {"minProperties", "maxProperties"}
)


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """What version 3.0 of OpenAPI says otherwise than JSON schema."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _key(parameter: Mapping[str, Any]) -> tuple[str, str]:
    return str(parameter.get("in")), str(parameter.get("name"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
