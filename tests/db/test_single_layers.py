"""Where two layers refuse the same, each of them does so alone."""

import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.broadcast.permissions import may_follow
from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.identities import ADA, BOB, ISSUER, user
from tests.support.usage import model_call

_PINNED = [
    "public.chat_sessions",
    "public.messages",
    "public.assistants",
    "public.shared_assistants",
    "public.session_shares",
    "engine.runs",
    "engine.usage_days",
]
_MEMBER = user(ADA.sub, org_id="org_1", org_role="org:member")
_PIN = 'drop policy if exists "only tokens of our issuer count" on '
_VISIBLE = (
    "create policy visible on public.chat_sessions for select to authenticated using (true);"
    f" {_PIN} public.chat_sessions"
)
_OPEN = "create policy open on realtime.messages for select to authenticated using (true)"
_UNGUARDED = 'drop policy "nobody follows another tenant\'s session" on realtime.messages'
_UNFENCED = 'drop policy "nobody reaches another user\'s attachments" on storage.objects'
_FILE = "user_2ada/0b9e7f52-6a55-4c1f-9d0e-5f2a4c1b7e10/a.txt"
_UPLOAD = "insert into storage.objects (bucket_id, name, owner_id) values ('attachments', $1, $2)"


async def _unpin(chat: Chat, table: str) -> None:
    """Browsers write whole rows, and only policies for one command are left."""
    await _grant_everything(chat, table)
    await chat.admin.execute(f"{_PIN} {table}")


async def _add(who: Browser, table: str, row: dict[str, Any]) -> None:
    # Without `returning`: else the policy of `select` has to let the row through too.
    values = ", ".join(f"${number}" for number, _ in enumerate(row, 1))
    sql = f"insert into public.{table} ({', '.join(row)}) values ({values})"
    assert await who.change(sql, *row.values()) == 1


async def _grant_everything(chat: Chat, table: str) -> None:
    await chat.admin.execute(
        f"grant usage on schema engine to authenticated; grant all on {table} to authenticated;"
        f" alter table {table} disable trigger user"
    )


@pytest.mark.parametrize("table", _PINNED)
async def test_only_tokens_of_our_issuer_count_whatever_another_policy_allows(
    chat: Chat, table: str
) -> None:
    await chat.ada.insert("assistants", name="shared", visibility="everyone")
    session = (await chat.claimed())["session_id"]
    await chat.ada.fetch("select from public.share_session($1)", UUID(session))
    await chat.worker.call("record_calls", [model_call(user_id=ADA.sub)])
    await chat.configure(token_issuer=ISSUER)
    await _grant_everything(chat, table)
    await chat.admin.execute(f"create policy open on {table} using (true) with check (true)")
    ours = chat.browser(user(ADA.sub, iss=ISSUER))

    assert await ours.value(f"select count(*) from {table}") > 0
    assert await chat.ada.value(f"select count(*) from {table}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await chat.ada.change(f"insert into {table} default values")


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("chat_sessions", {"user_id": BOB.sub}),
        ("chat_sessions", {"user_id": BOB.sub, "org_id": "org_1"}),
        ("chat_sessions", {"user_id": ADA.sub, "org_id": None}),
        ("chat_sessions", {"user_id": ADA.sub, "org_id": "org_2"}),
        ("assistants", {"user_id": BOB.sub, "name": "x"}),
    ],
)
async def test_the_policy_of_an_insert_refuses_what_belongs_to_others_without_triggers(
    chat: Chat, table: str, row: dict[str, Any]
) -> None:
    await _unpin(chat, f"public.{table}")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await _add(chat.browser(_MEMBER), table, row)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("chat_sessions", {"user_id": ADA.sub, "org_id": "org_1"}),
        ("assistants", {"user_id": ADA.sub, "name": "x"}),
    ],
)
async def test_the_policy_of_an_insert_lets_ones_own_through(
    chat: Chat, table: str, row: dict[str, Any]
) -> None:
    await _unpin(chat, f"public.{table}")

    await _add(chat.browser(_MEMBER), table, row)


# Without a filter, for the same reason.
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("chat_sessions", "user_id = 'user_2bob'"),
        ("chat_sessions", "org_id = 'org_1'"),
        ("messages", "user_id = 'user_2bob'"),
        ("messages", "org_id = 'org_1'"),
        ("messages", "author_id = 'user_2bob'"),
        ("assistants", "user_id = 'user_2bob'"),
        ("assistants", "visibility = 'organisation', org_id = 'org_1'"),
    ],
)
async def test_a_policy_lets_nobody_give_a_row_away(chat: Chat, table: str, change: str) -> None:
    await chat.ada.say(await chat.ada.start_session())
    await chat.ada.insert("assistants", name="Mine")
    await _unpin(chat, f"public.{table}")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await chat.ada.change(f"update public.{table} set {change}")


@pytest.mark.parametrize(
    "what", ["row", "archived", "foreign", "missing", "tenant", "author", "role"]
)
async def test_the_policy_of_messages_refuses_without_the_triggers(chat: Chat, what: str) -> None:
    archived = await chat.ada.start_session()
    await chat.admin.execute("update chat_sessions set status = 'archived'")
    own, foreign = await chat.ada.start_session(), await chat.bob.start_session()
    # What the policy looks up, it looks up in the caller's name.
    await chat.admin.execute(_VISIBLE)
    await _unpin(chat, "public.messages")
    wrong: dict[str, dict[str, Any]] = {
        "row": {},
        "archived": {"session_id": archived},
        "foreign": {"session_id": foreign},
        "missing": {"session_id": uuid4()},
        "tenant": {"org_id": "org_1"},
        "author": {"author_id": BOB.sub},
        "role": {"role": "assistant"},
    }
    row = {
        "session_id": own,
        "user_id": ADA.sub,
        "author_id": ADA.sub,
        "position": 1,
        "content": [],
    }

    if what == "row":
        await _add(chat.ada, "messages", row)
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await _add(chat.ada, "messages", {**row, **wrong[what]})


@pytest.mark.parametrize(
    "opening", [_VISIBLE, f"{_VISIBLE}; {_OPEN}", _OPEN, f"{_VISIBLE}; {_UNGUARDED}"]
)
async def test_who_has_a_session_follows_no_other(chat: Chat, opening: str) -> None:
    await chat.bob.start_session()
    topic = f"session:{await chat.ada.start_session()}"
    await chat.admin.execute(opening)

    assert not await may_follow(chat.admin, BOB, topic)
    assert await may_follow(chat.admin, ADA, topic)


async def test_a_folder_is_its_owners_without_the_fence_around_it(chat: Chat) -> None:
    await chat.admin.execute(_UNFENCED)
    await chat.admin.execute(_UPLOAD, _FILE, ADA.sub)
    by_name = "from storage.objects where name = $1"

    assert await chat.bob.fetch(f"select {by_name}", _FILE) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.bob.change(_UPLOAD, _FILE.replace("a.txt", "b.txt"), BOB.sub)
    async with chat.bob.transaction() as connection:
        await connection.execute("set local storage.allow_delete_query = 'true'")
        await connection.execute("delete from storage.objects")
    assert await chat.ada.fetch(f"select 1 {by_name}", _FILE) != []


async def test_a_search_finds_ones_own_whatever_the_index_holds(chat: Chat) -> None:
    await chat.admin.execute(
        "create or replace function engine.owner_lexeme(p_user_id text) returns text"
        " language sql immutable parallel safe set search_path = ''"
        " begin atomic select 'anybody'; end"
    )
    await chat.ada.say(await chat.ada.start_session(), "dragon")
    async with chat.admin.transaction():
        for who, found in ((BOB, []), (ADA, ["dragon"])):
            claims = "select set_config('request.jwt.claims', $1, true)"
            await chat.admin.execute(claims, f'{{"sub": "{who.sub}"}}')
            rows = await chat.admin.fetch(
                "select engine.content_text(content) as said from public.messages where id in"
                " (select engine.find_messages('dragon', null, 10, null))"
            )
            assert [row["said"] for row in rows] == found


async def test_without_an_organisation_nobody_is_an_admin(chat: Chat) -> None:
    for claims, expected in (({}, False), ({"org_id": "org_1"}, True)):
        token = json.dumps({"sub": ADA.sub, "org_role": "org:admin", **claims})
        async with chat.admin.transaction():
            await chat.admin.execute("select set_config('request.jwt.claims', $1, true)", token)
            assert await chat.admin.fetchval("select engine.caller_is_admin()") is expected


async def test_a_deep_tool_is_refused_before_any_column_is_checked(chat: Chat) -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}

    with pytest.raises(asyncpg.CheckViolationError, match="nested too deeply"):
        await chat.ada.insert("assistants", name="Mine", tools=[tool])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"type": "text"}], "neither a string nor a list of well-formed parts"),
        ([{"type": "text", "text": "x", "role": "system"}], "unknown field"),
        ([{"type": "text", "text": "x", "name": 1}], "unknown field"),
    ],
)
async def test_content_is_refused_in_the_words_of_its_own_check(
    chat: Chat, content: Any, words: str
) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError, match=words):
        await chat.ada.say(session, content)


async def test_a_parent_of_another_session_is_refused_at_once(chat: Chat) -> None:
    parent = await chat.bob.say(await chat.bob.start_session())
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.ForeignKeyViolationError, match="not a message of this session"):
        await chat.ada.say(session, parent_id=parent)


async def test_the_time_of_a_change_is_the_databases(chat: Chat) -> None:
    row = await chat.ada.insert("assistants", name="Mine")
    await chat.admin.execute("alter table assistants disable trigger check_assistant")
    await chat.admin.execute("update assistants set updated_at = 'epoch'")
    await chat.admin.execute("alter table assistants enable trigger check_assistant")

    (changed,) = await chat.ada.fetch("update public.assistants set name = 'New' returning *")

    assert changed["updated_at"] >= row["created_at"]
