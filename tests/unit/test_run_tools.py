"""The client's functions are told to a model only where its provider would take them."""

from typing import Any

import pytest
import structlog

from backend.domain.assistants import assistant_from_json
from backend.ports.tools import NoTools
from backend.runs.run_tools import run_tools
from tests.tools.test_schemas import chain


async def told(*functions: dict[str, Any]) -> tuple[list[str], list[Any]]:
    """Return the names that a model is told, and those that the log says are left out."""
    tools = [{"type": "function", "function": it} for it in functions]
    row = {"id": "a1", "name": "", "instructions": "", "tools": tools}
    with structlog.testing.capture_logs() as lines:
        found = await run_tools(assistant_from_json(row), NoTools())
    left = [(line["event"], line["assistant_id"], line["tools"]) for line in lines]
    return [it.name for it in found.definitions], left


TAKEN: dict[str, Any] = {
    "nothing": None,
    "empty": {},
    "no type": {"properties": {"a": {"type": "string"}}},
    "another dialect": {"$schema": "https://nobody.test/schema", "type": "object"},
    "a look ahead": {"type": "object", "properties": {"a": {"pattern": "a(?=b)"}}},
    "a reference to itself": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "what would make us work": {"type": "object", **chain(40)},
}
LEFT: dict[str, Any] = {
    "a list": [1],
    "a text": "object",
    "another type": {"type": "string"},
    "no type of all": {"type": "objekt"},
    "no type below": {"type": "object", "properties": {"a": {"items": {"type": "text"}}}},
    "no pattern": {"type": "object", "properties": {"a": {"pattern": "(a"}}},
    "a reference to nothing": {"type": "object", "properties": {"a": {"$ref": "#/a"}}},
}


@pytest.mark.parametrize("kind", TAKEN)
async def test_what_is_a_schema_is_told(kind: str) -> None:
    assert await told({"name": "it", "parameters": TAKEN[kind]}) == (["it"], [])


@pytest.mark.parametrize("kind", LEFT)
async def test_what_is_none_is_left_out_and_the_others_stay(kind: str) -> None:
    found = await told({"name": "it", "parameters": LEFT[kind]}, {"name": "other"})
    assert found == (["other"], [("tool.left_out", "a1", ["it"])])
