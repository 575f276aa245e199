"""What an assistant's options may be, and the MCP servers that it may name."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import SERVICE

_SCHEMA = {"name": "weather", "schema": {"type": "object"}, "strict": True, "description": "It"}
_GOOD: list[dict[str, Any]] = [
    {},
    {"temperature": 0, "top_p": 1, "max_output_tokens": 1, "parallel_tool_calls": False},
    {"temperature": 2, "reasoning_effort": "low", "cache": "organisation"},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
    {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "function": {"name": "roll_dice"}}},
    {"truncation": {"type": "auto"}},
    {"truncation": {"type": "last_messages", "last_messages": 1}},
    {"truncation": {"type": "max_tokens", "max_tokens": 256, "summarise": True}},
    {"fallback_models": ["offline:demo"], "fallback_after_words": True},
    {"service": "batch"},
    {"service": "default"},
]
_SCHEMAS: list[Any] = [
    {},
    {"type": "object"},
    {"type": ["object", "null"], "required": []},
    {"properties": {"a": {}, "b": True, "type": {"type": "integer"}}},
]
_NO_SCHEMAS: list[Any] = [
    None,
    [],
    "object",
    {"type": "objekt"},
    {"type": None},
    {"type": 1},
    {"type": {}},
    {"type": ["object", "objekt"]},
    {"properties": []},
    {"properties": {"a": "string"}},
    {"properties": {"a": {"type": "text"}}},
    {"required": "a"},
]
_BAD: list[Any] = [
    None,
    "",
    [],
    {"unknown": 1},
    {"temperature": 2.1},
    {"temperature": "1"},
    {"top_p": -0.1},
    {"max_output_tokens": 0},
    {"max_output_tokens": 1.5},
    {"reasoning_effort": "huge"},
    {"cache": "everyone"},
    {"parallel_tool_calls": "yes"},
    {"response_format": "json_object"},
    {"response_format": {"type": "json_object", "schema": {}}},
    {"response_format": {"type": "text", "x": 1}},
    {"response_format": {"type": "xml"}},
    {"response_format": {"type": "json_schema"}},
    {"response_format": {"type": "json_schema", "json_schema": {**_SCHEMA, "name": "a b"}}},
    *(
        {"response_format": {"type": "json_schema", "json_schema": {**_SCHEMA, "schema": it}}}
        for it in _NO_SCHEMAS
    ),
    {"response_format": {"type": "json_schema", "json_schema": {**_SCHEMA, "strict": 1}}},
    {"response_format": {"type": "json_schema", "json_schema": {**_SCHEMA, "description": 1}}},
    {"response_format": {"type": "json_schema", "json_schema": {**_SCHEMA, "url": "x"}}},
    {"response_format": {"type": "json_schema", "json_schema": _SCHEMA, "x": 1}},
    {"tool_choice": "all"},
    {"tool_choice": 1},
    {"tool_choice": {"type": "function"}},
    {"tool_choice": {"type": "mcp", "function": {"name": "a"}}},
    {"tool_choice": {"type": "function", "function": {"name": "a b"}}},
    {"tool_choice": {"type": "function", "function": {"name": "a", "url": "x"}}},
    {"tool_choice": {"type": "function", "function": {"name": "a"}, "x": 1}},
    {"truncation": "auto"},
    {"truncation": {"type": "auto", "last_messages": 3}},
    {"truncation": {"type": "last_messages"}},
    {"truncation": {"type": "last_messages", "last_messages": 0}},
    {"truncation": {"type": "last_messages", "last_messages": 201}},
    {"truncation": {"type": "last_messages", "last_messages": 3, "max_tokens": 300}},
    {"truncation": {"type": "max_tokens", "max_tokens": 255}},
    {"truncation": {"type": "max_tokens", "max_tokens": 10_000_001}},
    {"truncation": {"type": "max_tokens", "max_tokens": 300, "last_messages": 3}},
    {"truncation": {"type": "max_tokens", "max_tokens": 300, "summarise": 1}},
    {"truncation": {"type": "middle"}},
    {"fallback_models": "offline:demo"},
    {"fallback_models": ["demo"]},
    {"fallback_models": [1]},
    {"fallback_models": ["a:b"] * 9},
    {"fallback_after_words": 1},
    {"service": "cheap"},
]


@pytest.mark.parametrize("schema", _SCHEMAS, ids=str)
async def test_what_looks_like_a_schema_is_one(chat: Chat, schema: Any) -> None:
    assert await chat.admin.fetchval("select engine.is_schema($1)", schema) is True
    form = {"type": "json_schema", "json_schema": {**_SCHEMA, "schema": schema}}
    await chat.ada.insert("assistants", name="Mine", options={"response_format": form})


@pytest.mark.parametrize("who", ["a user", "the operator"])
@pytest.mark.parametrize("schema", _NO_SCHEMAS, ids=str)
async def test_an_answer_of_no_schema_is_refused_and_named(
    chat: Chat, schema: Any, who: str
) -> None:
    writer = chat.ada if who == "a user" else chat.browser(SERVICE)
    form = {"type": "json_schema", "json_schema": {**_SCHEMA, "schema": schema}}
    with pytest.raises(asyncpg.CheckViolationError, match="the schema of response_format"):
        await writer.insert("assistants", name="No", options={"response_format": form})


@pytest.mark.parametrize("options", _GOOD, ids=str)
async def test_known_options_in_their_range_are_kept(chat: Chat, options: dict[str, Any]) -> None:
    assert await chat.admin.fetchval("select engine.is_options($1)", options) is True


@pytest.mark.parametrize("options", _BAD, ids=str)
async def test_anything_else_is_refused(chat: Chat, options: Any) -> None:
    assert await chat.admin.fetchval("select engine.is_options($1)", options) is False


_HINTS = {
    "temperature": "A number from 0 to 2.",
    "top_p": "A number from 0 to 1.",
    "max_output_tokens": "A whole number from 1 to 1000000.",
    "reasoning_effort": "none, minimal, low, medium or high.",
    "response_format": '{"type": "json_schema", "json_schema": {"name", "schema"',
    "tool_choice": "auto, none, required, or ",
    "parallel_tool_calls": "true or false.",
    "truncation": '"last_messages": 1 to 200}, or {"type": "max_tokens", "max_tokens": 256 to 10000000}',
    "fallback_models": "A list of at most 8 models",
    "fallback_after_words": "true or false.",
    "cache": "user, organisation or assistant.",
    "service": "default or batch.",
}
_KNOWN = "Known: cache, fallback_after_words, fallback_models, max_output_tokens, "


async def test_what_is_wrong_is_named_with_what_it_may_be(chat: Chat) -> None:
    for options in filter(None, _BAD):
        (key,) = options
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await chat.ada.insert("assistants", name="No", options=options)

        assert _said(refused) == _what_is_wrong(key, options[key])
        assert _HINTS.get(key, _KNOWN) in (refused.value.hint or ""), options


def _what_is_wrong(key: str, value: Any) -> str:
    match key, value:
        case "response_format", {"json_schema": {"schema": it}} if it in _NO_SCHEMAS:
            return "the schema of response_format is no JSON schema"
        case _ if key in _HINTS:
            return f'option "{key}" is out of its range'
        case _:
            return f'there is no option "{key}"'


def _said(refused: pytest.ExceptionInfo[asyncpg.CheckViolationError]) -> str:
    return str(refused.value.args[0])


def test_each_key_has_a_hint_of_its_own() -> None:
    assert {key for options in _GOOD for key in options} == _HINTS.keys()


@pytest.mark.parametrize("options", ["", [], 7], ids=str)
async def test_options_that_are_no_object_are_told_so(chat: Chat, options: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="options are an object") as refused:
        await chat.ada.insert("assistants", name="No", options=options)

    assert refused.value.hint == 'Example: {"temperature": 0.5}'


async def test_options_that_are_too_large_are_told_so(chat: Chat) -> None:
    large = {"name": "x", "schema": {"description": "x" * 65536}}
    form = {"type": "json_schema", "json_schema": large}

    with pytest.raises(asyncpg.CheckViolationError, match="larger than 64 kB") as refused:
        await chat.ada.insert("assistants", name="No", options={"response_format": form})

    assert refused.value.hint == "At most 64 levels, and numbers that a double holds."


@pytest.mark.parametrize("who", ["a user", "the operator"])
async def test_an_operator_is_told_as_users_are(chat: Chat, who: str) -> None:
    writer = chat.ada if who == "a user" else chat.browser(SERVICE)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await writer.insert("assistants", name="No", options={"temperature": 3, "top_p": 1})
    assert _said(refused) == 'option "temperature" is out of its range'

    for model in ("gpt-4", "openai:", "OpenAI:gpt-6-luna", "open ai:x", ":x"):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await writer.insert("assistants", name="No", model=model)
        assert _said(refused) == f'model "{model}" is not provider:name'
        assert "openai:gpt-6-luna" in (refused.value.hint or "")


async def test_a_user_sets_options_of_their_own_assistant(chat: Chat) -> None:
    made = await chat.ada.insert("assistants", name="Mine", options={"temperature": 0.5})
    assert made["options"] == {"temperature": 0.5}


async def test_a_fallback_that_is_not_on_the_list_is_refused(chat: Chat) -> None:
    await chat.configure(user_models=["offline:demo", "openai:gpt-5"])
    listed = {"fallback_models": ["openai:gpt-5"]}

    made = await chat.ada.insert("assistants", name="Mine", options=listed)
    with pytest.raises(asyncpg.CheckViolationError, match="fallback model openai:o9 is") as refused:
        await chat.ada.insert("assistants", name="No", options={"fallback_models": ["openai:o9"]})

    assert made["options"] == listed
    assert refused.value.hint == "Allowed: offline:demo, openai:gpt-5"


async def test_a_user_names_an_mcp_server_that_the_operator_lists(chat: Chat) -> None:
    await chat.configure(user_tools=["function", "mcp:docs"])
    tools = [{"type": "mcp", "mcp": {"server": "docs", "allowed_tools": ["search"]}}]

    made = await chat.ada.insert("assistants", name="Mine", tools=tools)
    with pytest.raises(asyncpg.CheckViolationError, match='"mcp:crm" is not on the list'):
        await chat.ada.insert(
            "assistants", name="No", tools=[{"type": "mcp", "mcp": {"server": "crm"}}]
        )

    assert made["tools"] == tools


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"server": 1},
        {"server": "Docs"},
        {"server": "docs", "url": "https://evil.example"},
        {"server": "docs", "headers": {}},
        {"server": "docs", "allowed_tools": "search"},
        {"server": "docs", "allowed_tools": [1]},
    ],
    ids=str,
)
async def test_a_server_is_named_and_never_described(chat: Chat, server: dict[str, Any]) -> None:
    await chat.configure(user_tools=["mcp:docs"])
    with pytest.raises(asyncpg.CheckViolationError, match="known keys") as refused:
        await chat.ada.insert("assistants", name="No", tools=[{"type": "mcp", "mcp": server}])
    assert str(refused.value.hint).startswith("An mcp has server")


def _function(name: str = "roll", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


@pytest.mark.parametrize("who", ["a user", "the operator"])
@pytest.mark.parametrize("parameters", [None, {}, {"type": "object", "properties": {"a": {}}}])
async def test_a_function_takes_an_object_or_nothing(chat: Chat, parameters: Any, who: str) -> None:
    writer = chat.ada if who == "a user" else chat.browser(SERVICE)
    tools = [_function(parameters=parameters), _function("other"), {"type": "file_search"}]
    assert (await writer.insert("assistants", name="Mine", tools=tools))["tools"] == tools


@pytest.mark.parametrize("who", ["a user", "the operator"])
@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([_function(parameters={"type": "string"})], 'of function "roll" are no JSON schema'),
        ([_function(parameters={"properties": {}})], "no JSON schema of an object"),
        *(
            ([_function(parameters=it)], "no JSON schema of an object")
            for it in _NO_SCHEMAS
            if it is not None
        ),
        (
            [_function(parameters={"type": "object", "properties": {"a": "string"}})],
            "no JSON schema of an object",
        ),
        ([_function(description=1)], "known keys"),
        ([_function(strict="yes")], "known keys"),
        ([{"type": "functoin"}], "known keys"),
        ([_function(), _function("other"), _function(description="x")], "two functions are called"),
    ],
    ids=str,
)
async def test_what_no_model_can_be_given_is_refused(
    chat: Chat, tools: Any, said: str, who: str
) -> None:
    writer = chat.ada if who == "a user" else chat.browser(SERVICE)
    with pytest.raises(asyncpg.CheckViolationError, match=said):
        await writer.insert("assistants", name="No", tools=tools)


async def test_the_operator_changes_what_an_older_release_took(chat: Chat) -> None:
    made = await chat.browser(SERVICE).insert("assistants", name="Old")
    async with chat.admin.transaction():
        await chat.admin.execute("alter table public.assistants disable trigger check_assistant")
        await chat.admin.execute(
            "update public.assistants set tools = $2 where id = $1", made["id"], [{"type": "x"}]
        )
        await chat.admin.execute("alter table public.assistants enable trigger check_assistant")
    rename = "update public.assistants set name = 'New', tools = $2 where id = $1"
    await chat.admin.execute(rename, made["id"], [{"type": "x"}])
    with pytest.raises(asyncpg.CheckViolationError, match="known keys"):
        await chat.admin.execute(rename, made["id"], [{"type": "y"}])
