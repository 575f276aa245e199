"""Tools of somebody else are offered only where every model takes them."""

from typing import Any

import pytest

from backend.domain.assistants import FunctionTool
from backend.tools.foreign import foreign_tools
from tests.tools.calling import ScriptedTool, call
from tests.tools.test_schemas import chain


def theirs(description: str = "", **schema: Any) -> ScriptedTool:
    made = ScriptedTool("done")
    made.definition = FunctionTool("it", description, {"type": "object", **schema})
    return made


async def test_a_tool_bears_the_name_of_its_owner_and_is_called_by_its_own() -> None:
    tool = theirs(properties={"a": {}})
    made = foreign_tools("docs", {"read.it": tool})["docs_read_it"]
    assert made.definition.name == "docs_read_it"
    assert made.own_name == "read.it"
    assert (await call(made, a=1)).output == "done"


def test_who_takes_no_arguments_says_so() -> None:
    made = foreign_tools("docs", {"it": theirs()})["docs_it"]
    assert made.definition.parameters == {"type": "object", "properties": {}}


def test_words_that_no_request_can_carry_are_replaced() -> None:
    tool = theirs("a\x00\ud800", properties={"a": {"description": "b\udfff"}})
    made = foreign_tools("docs", {"it": tool})["docs_it"].definition
    assert made.description == "a\ufffd\ufffd"
    assert made.parameters["properties"] == {"a": {"description": "b\ufffd"}}


DEEP: dict[str, Any] = {}
for _ in range(60):
    DEEP = {"items": DEEP}
REFUSED: dict[str, dict[str, Any]] = {
    "no object": {"type": "string"},
    "alternatives at the top": {"anyOf": [{"required": ["a"]}]},
    "a reference at the top": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
    "a name of an argument": {"properties": {"filter[a]": {}}},
    "a long name of an argument": {"properties": {"a" * 65: {}}},
    "depth": {"properties": {"a": DEEP}},
    "work": {"properties": {"a": chain(40)}},
    "an unknown type": {"properties": {"a": {"type": "file"}}},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_provider_would_refuse_is_left_out(kind: str) -> None:
    found = foreign_tools("docs", {"it": theirs(**REFUSED[kind]), "good": theirs()})
    assert set(found) == {"docs_good"}


@pytest.mark.parametrize("name", ["x" * 64, "ü", "a b", ""])
def test_a_name_is_made_sayable_or_left_out(name: str) -> None:
    for made in foreign_tools("docs", {name: theirs()}).values():
        assert made.definition.name.isascii()
        assert len(made.definition.name) <= 64
