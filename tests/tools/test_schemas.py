"""Schemas that anybody wrote: which are used, and which would never come to an end."""

import time
from typing import Any

import pytest
from pydantic import BaseModel

from backend.tools.schemas import SchemaUnusable, check, problems


def chain(length: int, times: int = 2, word: str = "allOf") -> dict[str, Any]:
    """Return a schema that is laid `times ** length` times against one value."""
    made: dict[str, Any] = {
        f"s{it}": {word: [{"$ref": f"#/$defs/s{it + 1}"}] * times} for it in range(length)
    }
    made[f"s{length}"] = {"type": "object"}
    return {"$ref": "#/$defs/s0", "$defs": made}


def again(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"allOf": list(parts)}


CHILD = {"properties": {"c": {"$ref": "#"}}}
ENDLESS: dict[str, Any] = {
    "doubling": chain(40),
    "doubling alternatives": chain(40, word="anyOf"),
    "wide and flat": chain(2, times=40),
    "twice itself for each level": again(CHILD, CHILD),
    "by two ways": again(CHILD, {"additionalProperties": {"$ref": "#"}}),
    "by two patterns": {"patternProperties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
    "by two items": again({"items": {"$ref": "#"}}, {"contains": {"$ref": "#"}}),
    "by turns": {
        "$defs": {"a": again(*[{"properties": {"c": {"$ref": "#/$defs/b"}}}] * 2), "b": CHILD},
        "$ref": "#/$defs/a",
    },
    "by what was not evaluated": {
        "unevaluatedProperties": {"$ref": "#"},
        "allOf": [CHILD, CHILD],
    },
    "itself": {"$ref": "#"},
    "itself by a detour": {"anyOf": [{"not": {"$ref": "#"}}]},
    "a name of its own": {"properties": {"a": {"$id": "https://a.test/", "$ref": "#"}}},
    "an anchor": {"$defs": {"a": {"$anchor": "a"}}, "properties": {"a": {"$ref": "#a"}}},
    "nowhere": {"$ref": "#/$defs/none"},
    "elsewhere": {"$ref": "https://a.test/schema"},
    "a file": {"$ref": "file:///etc/passwd"},
    "no type": {"type": "unheard"},
    "a pattern with a look back": {"pattern": "(?<=a)b"},
    "a pattern without an end": {"pattern": "a{1000}{1000}{1000}"},
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_schema_without_an_end_is_refused_at_once(kind: str) -> None:
    began = time.process_time()
    with pytest.raises(SchemaUnusable):
        check({"type": "object", **ENDLESS[kind]})
    assert time.process_time() - began < 2


class Tree(BaseModel):
    name: str
    left: "Tree | None" = None
    right: "Tree | None" = None
    leaves: "list[Tree]" = []


UNION = {"anyOf": [{"properties": {"kind": {"const": it}}} for it in range(20)]}
USUAL: dict[str, Any] = {
    "a tree": Tree.model_json_schema(),
    "a list of kinds": {"properties": {"blocks": {"type": "array", "items": UNION}}},
    "what refers to itself once": CHILD,
    "several ends of one": {"properties": {str(it): {"$ref": "#/$defs/x"} for it in range(90)}}
    | {"$defs": {"x": {"type": "string"}}},
    "conditions": {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": False},
    "old words": {"definitions": {"a": {}}, "properties": {"a": {"$ref": "#/definitions/a"}}},
    "nothing": {},
}


@pytest.mark.parametrize("kind", USUAL)
def test_a_usual_schema_is_used(kind: str) -> None:
    check(USUAL[kind])


def test_a_deep_value_against_a_schema_that_refers_to_itself_takes_no_time() -> None:
    value: Any = {"name": "leaf"}
    for _ in range(40):
        value = {"name": "n", "left": value, "right": {"name": "leaf"}}
    began = time.process_time()
    assert problems(value, Tree.model_json_schema()) == []
    assert time.process_time() - began < 2
    value["left"]["left"]["name"] = 7
    assert problems(value, Tree.model_json_schema()) != []
