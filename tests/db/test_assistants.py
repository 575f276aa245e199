"""A user's own assistants: what they may name, and what the operator decides."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import SERVICE, user


async def test_a_user_makes_an_assistant_of_the_allowed_models_and_tools(chat: Chat) -> None:
    tools = [
        {"type": "file_search"},
        {"type": "code_interpreter", "code_interpreter": {"file_ids": []}},
        {
            "type": "function",
            "function": {"name": "roll", "description": "d20", "parameters": {}, "strict": True},
        },
    ]

    row = await chat.ada.insert(
        "assistants", name="Mine", instructions="Be brief.", model="offline:demo", tools=tools
    )

    assert (row["user_id"], row["visibility"], row["tools"]) == (
        chat.ada.who.sub,
        "private",
        tools,
    )


async def test_a_model_that_is_not_on_the_list_is_refused_and_the_list_is_named(
    chat: Chat,
) -> None:
    await chat.configure(user_models=["offline:demo", "openai:gpt-5"])

    with pytest.raises(asyncpg.CheckViolationError, match="not on the list") as refused:
        await chat.ada.insert("assistants", name="Mine", model="openai:o9-pro")

    assert refused.value.hint == "Allowed: offline:demo, openai:gpt-5"


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "mcp", "mcp": {"url": "https://evil.example"}},
        {"type": "web_search"},
        {"type": None},
        {"type": 7},
        {},
        {"function": {"name": "roll"}},
        {"type": "function", "url": "https://evil.example"},
        {"type": "function", "headers": {"authorization": "x"}},
        {"type": "function", "function": {"name": "roll", "url": "https://evil.example"}},
        {"type": "function", "function": {"name": "roll", "headers": {}}},
        {"type": "function"},
        {"type": "function", "function": {}},
        {"type": "function", "function": {"name": 7}},
        {"type": "function", "function": "roll"},
        {"type": "function", "function": []},
        {"type": "file_search", "function": {"name": "roll"}},
        {"type": "file_search", "file_search": {"url": "https://evil.example"}},
        {"type": "code_interpreter", "code_interpreter": {"headers": {"authorization": "x"}}},
        {"type": "code_interpreter", "code_interpreter": "x"},
        "function",
        1,
        None,
        [],
    ],
    ids=str,
)
async def test_a_tool_is_of_an_allowed_type_and_carries_no_other_key(
    empty_chat: Chat, tool: Any
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await empty_chat.ada.insert("assistants", name="Mine", tools=[tool])

    assert refused.value.sqlstate == "23514"


async def test_a_tool_that_the_operator_does_not_allow_is_refused(chat: Chat) -> None:
    tool = {"type": "file_search"}
    await chat.configure(user_tools=["function", "file_search"])
    await chat.ada.insert("assistants", name="Mine", tools=[tool])
    await chat.configure(user_tools=["function"])

    with pytest.raises(asyncpg.CheckViolationError, match="not on the list of allowed tools"):
        await chat.ada.insert("assistants", name="Mine", tools=[tool])


@pytest.mark.parametrize("tools", [{}, "function", 1], ids=str)
async def test_tools_are_a_list(empty_chat: Chat, tools: Any) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await empty_chat.ada.insert("assistants", name="Mine", tools=tools)

    assert refused.value.sqlstate == "23514"


@pytest.mark.parametrize("column", ["model", "tools"])
async def test_a_change_is_checked_like_an_insert(empty_chat: Chat, column: str) -> None:
    row = await empty_chat.ada.insert("assistants", name="Mine")
    value = {"model": "openai:o9-pro", "tools": [{"type": "mcp"}]}[column]

    with pytest.raises(asyncpg.CheckViolationError):
        await empty_chat.ada.change(
            f"update public.assistants set {column} = $2 where id = $1", row["id"], value
        )


@pytest.mark.parametrize(
    "columns",
    [
        {"name": ""},
        {"name": "x" * 257},
        {"name": "x", "description": "x" * 513},
        {"name": "x", "instructions": "x" * 262_145},
        {"name": "x", "visibility": "public"},
        {"name": "x", "metadata": []},
        {"name": "x", "metadata": {"k": "x" * 16_400}},
        {"name": "x", "model": "no provider"},
    ],
    ids=lambda columns: ",".join(columns) + str(len(str(columns))),
)
async def test_each_column_has_its_bounds(empty_chat: Chat, columns: dict[str, Any]) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await empty_chat.ada.insert("assistants", **columns)


@pytest.mark.parametrize("command", ["insert", "update"])
async def test_a_setting_turns_users_assistants_off(chat: Chat, command: str) -> None:
    row = await chat.ada.insert("assistants", name="Mine")
    await chat.configure(user_assistants_allowed=False)
    attempt = {
        "insert": "insert into public.assistants (name) values ('Another')",
        "update": "update public.assistants set name = 'New'",
    }[command]

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="may not make assistants"):
        await chat.ada.change(attempt)
    assert await chat.ada.delete("assistants", row["id"]) == 1


async def test_the_operator_is_bound_by_no_list(chat: Chat) -> None:
    await chat.configure(user_assistants_allowed=False)

    row = await chat.browser(SERVICE).insert(
        "assistants",
        name="Ours",
        model="openai:o9-pro",
        tools=[{"type": "mcp", "mcp": {"server": "maps"}}],
    )

    assert row["user_id"] is None


async def test_the_sessions_of_a_deleted_assistant_go_on_with_the_default_one(chat: Chat) -> None:
    mine = (await chat.ada.insert("assistants", name="Mine"))["id"]
    session = await chat.ada.start_session(assistant_id=mine)

    assert await chat.ada.delete("assistants", mine) == 1

    used = await chat.admin.fetchval(
        "select assistant_id from public.chat_sessions where id = $1", session
    )
    assert str(used) == str(DEMO_ASSISTANT)


async def test_without_a_default_the_session_of_a_deleted_assistant_says_so(chat: Chat) -> None:
    mine = (await chat.ada.insert("assistants", name="Mine"))["id"]
    session = await chat.ada.start_session(assistant_id=mine)
    await chat.admin.execute("update engine.settings set default_assistant_id = null")

    assert await chat.ada.delete("assistants", mine) == 1

    with pytest.raises(asyncpg.PostgresError, match="is gone") as refused:
        await chat.ada.say(session)
    assert refused.value.sqlstate == "PT409"


async def test_a_run_outlives_the_assistant_that_made_it(chat: Chat) -> None:
    mine = (await chat.ada.insert("assistants", name="Mine"))["id"]
    claim = await chat.claimed(assistant_id=mine)
    await chat.worker.finish(claim)
    await chat.ada.change("update public.chat_sessions set assistant_id = $1", DEMO_ASSISTANT)

    await chat.ada.delete("assistants", mine)

    assert (await chat.run(claim["run_id"]))["assistant_id"] is None


async def test_deleting_the_default_assistant_leaves_no_default(chat: Chat) -> None:
    await chat.admin.execute("delete from assistants where id = $1", DEMO_ASSISTANT)

    assert await chat.admin.fetchval("select default_assistant_id from engine.settings") is None


async def test_updated_at_follows_a_change(chat: Chat) -> None:
    row = await chat.ada.insert("assistants", name="Mine")

    (changed,) = await chat.ada.fetch("update public.assistants set name = 'New' returning *")

    assert changed["updated_at"] > row["updated_at"]


@pytest.mark.parametrize(
    "claims",
    [{"org_id": "org_1"}, {"o": {"id": "org_1", "rol": "admin"}, "v": 2}],
    ids=["v1", "v2"],
)
async def test_the_organisation_comes_from_either_form_of_the_token(
    empty_chat: Chat, claims: dict[str, Any]
) -> None:
    member = empty_chat.browser(user("user_2eve", **claims))

    assistant = await member.insert("assistants", name="Ours")
    session = await member.insert("chat_sessions", title="Ours")

    assert (assistant["org_id"], session["org_id"]) == ("org_1", "org_1")


@pytest.mark.parametrize("claims", [{}, {"o": None}, {"o": {}}, {"org_id": None}, {"org_id": ""}])
async def test_without_an_active_organisation_there_is_none(
    empty_chat: Chat, claims: dict[str, Any]
) -> None:
    session = await empty_chat.browser(user("user_2eve", **claims)).insert(
        "chat_sessions", title="x"
    )

    assert session["org_id"] is None
