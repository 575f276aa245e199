"""How much work a schema makes, found before any value is checked against it.

A schema may make a checker look at one value a billion times: `allOf` twice the same reference, that
to the next one, and so on for thirty steps; or a reference back to itself, twice, for each level of
the value. Both are found here by adding up, along the worst path through a value, how many schemas
are laid against one place of it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

MOST_WORK = 1000
"""Schemas laid against one place of a value, and all the places that it lies in."""
_MOST_LEVELS = 48
_IN_PLACE = ("not", "if", "then", "else")
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE_MAPS = ("dependentSchemas", "dependencies")
_EACH_NAME = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_EACH_ITEM = ("items", "additionalItems", "contains", "unevaluatedItems")
_UNKNOWN = (
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveRef",
    "$recursiveAnchor",
)
Schema: TypeAlias = Any


class TooMuchWork(ValueError):
    """The schema would be laid against a value without an end, or nearly so."""


def check_work(root: Schema) -> None:
    """Return quietly if values can be checked against the schema in a short time.

    Raises:
        TooMuchWork: They cannot, or nobody can tell.
    """
    _Work(root).of(root, _MOST_LEVELS)


class _Work:
    """Adds up; each schema once for each level below it."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[tuple[int, int], int] = {}
        self._flat: dict[int, list[Mapping[str, Any]]] = {}
        self._open: set[int] = set()

    def of(self, schema: Schema, levels: int) -> int:
        key = (id(schema), levels)
        if key not in self._known:
            self._known[key] = self._sum(schema, levels)
        return self._known[key]

    def _sum(self, schema: Schema, levels: int) -> int:
        here = self._in_place(schema)
        work = len(here)
        if levels:
            work += max((self._all(below, levels - 1) for below in _below(here)), default=0)
        if work > MOST_WORK:
            raise TooMuchWork("The schema makes too much work.")
        return work

    def _all(self, schemas: list[Schema], levels: int) -> int:
        return sum(self.of(schema, levels) for schema in schemas)

    def _in_place(self, schema: Schema) -> list[Mapping[str, Any]]:
        """Return all schemas that are laid against the same place as this one, each as often."""
        if not isinstance(schema, dict):
            return []
        key = id(schema)
        if key in self._open:
            raise TooMuchWork("The schema is a part of itself.")
        if key not in self._flat:
            self._open.add(key)
            found: list[Mapping[str, Any]] = [schema]
            for part in self._parts(schema):
                found += self._in_place(part)
                if len(found) > MOST_WORK:
                    raise TooMuchWork("The schema makes too much work.")
            self._open.discard(key)
            self._flat[key] = found
        return self._flat[key]

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Schema]:
        if schema is not self._root and any(isinstance(schema.get(it), str) for it in _UNKNOWN):
            raise TooMuchWork("The schema has names of its own.")
        times = 2 if {"unevaluatedProperties", "unevaluatedItems"} & set(schema) else 1
        for _ in range(times):
            yield from (schema[name] for name in _IN_PLACE if name in schema)
            for name in _IN_PLACE_LISTS:
                yield from _list(schema.get(name))
            for name in _IN_PLACE_MAPS:
                yield from _object(schema.get(name)).values()
            if "$ref" in schema:
                yield self._at(schema["$ref"])

    def _at(self, reference: Any) -> Schema:
        if not isinstance(reference, str) or not re.match(r"#(/|$)", reference):
            raise TooMuchWork("The schema refers to something else.")
        found = self._root
        for part in reference[2:].split("/") if reference != "#" else ():
            name = part.replace("~1", "/").replace("~0", "~")
            found = _object(found).get(name)
        if found is None:
            raise TooMuchWork("The schema refers to what is not there.")
        return found


def _below(here: list[Mapping[str, Any]]) -> Iterator[list[Schema]]:
    """Yield, for each name that a value may have, and for its items, the schemas laid there."""
    each_name = [it[name] for it in here for name in _EACH_NAME if name in it]
    each_name += [part for it in here for part in _object(it.get("patternProperties")).values()]
    names = {name for it in here for name in _object(it.get("properties"))}
    if each_name:
        yield each_name
    for name in names:
        own = [_object(it.get("properties")).get(name) for it in here]
        yield [*each_name, *(part for part in own if part is not None)]
    items = [part for it in here for name in _EACH_ITEM for part in _each(it.get(name))]
    items += [part for it in here for part in _list(it.get("prefixItems"))]
    if items:
        yield items


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
