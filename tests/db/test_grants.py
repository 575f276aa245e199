"""Grants, column by column: what is not granted is refused before any policy is asked."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, ANONYMOUS, SERVICE, Identity

# table → role → privileges; a browser writes only what `_WRITES` lists.
_PRIVILEGES = {
    "public.chat_sessions": {"authenticated": "select delete", "service_role": "select delete"},
    "public.messages": {"authenticated": "select delete", "service_role": "select delete"},
    "public.assistants": {
        "authenticated": "select delete",
        "service_role": "select insert update delete",
    },
    "public.session_shares": {"authenticated": "select delete", "service_role": "select delete"},
    "public.shared_assistants": {"authenticated": "select", "service_role": "select"},
    "public.runs": {"authenticated": "select", "service_role": "select"},
    "public.usage_by_day": {"authenticated": "select", "service_role": "select"},
    # asked by policies
    "engine.caller": {"authenticated": "select"},
    "engine.pinned_issuer": {"authenticated": "select"},
    "engine.runs": {},
    "engine.run_steps": {},
    "engine.events": {},
    "engine.settings": {},
    "engine.admissions": {},
    "engine.batch_items": {},
    "engine.batches": {},
    "engine.budget_reservations": {},
    "engine.budgets": {},
    "engine.cache_days": {},
    "engine.cache_entries": {},
    "engine.cache_limits": {},
    "engine.cache_sizes": {},
    "engine.model_calls": {},
    "engine.model_prices": {},
    "engine.session_summaries": {},
    "engine.spending": {},
    "engine.usage_days": {},
    "engine.rate_limits": {},
}
_ALL = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
_WHO: dict[str, Identity] = {"authenticated": ADA, "service_role": SERVICE, "anon": ANONYMOUS}

_SESSION_UPDATE = "title status assistant_id while_running metadata"
_ASSISTANT = "name description instructions model tools options visibility metadata"
_EVERY_ASSISTANT_COLUMN = f"id user_id org_id {_ASSISTANT} created_at updated_at"
_WRITES = {
    ("chat_sessions", "insert", "authenticated"): "title assistant_id while_running metadata",
    ("chat_sessions", "update", "authenticated"): _SESSION_UPDATE,
    ("chat_sessions", "insert", "service_role"): f"user_id org_id {_SESSION_UPDATE}",
    ("chat_sessions", "update", "service_role"): _SESSION_UPDATE,
    ("messages", "insert", "authenticated"): "session_id content parent_id client_id metadata",
    ("messages", "update", "authenticated"): "content metadata",
    (
        "messages",
        "insert",
        "service_role",
    ): "session_id role content parent_id client_id metadata starts_run",
    ("messages", "update", "service_role"): "content metadata",
    ("assistants", "insert", "authenticated"): _ASSISTANT,
    ("assistants", "update", "authenticated"): _ASSISTANT,
    ("assistants", "insert", "service_role"): _EVERY_ASSISTANT_COLUMN,
    ("assistants", "update", "service_role"): _EVERY_ASSISTANT_COLUMN,
}
_TABLES = (
    "chat_sessions",
    "messages",
    "assistants",
    "session_shares",
    "shared_assistants",
    "runs",
    "usage_by_day",
)
# Computed or generated, so nobody could write them whatever was granted.
_COMPUTED = ["status", "queued_no"]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "assistants_engine"])
@pytest.mark.parametrize("table", _PRIVILEGES)
async def test_a_role_has_these_privileges_on_a_table_and_no_others(
    empty_chat: Chat, table: str, role: str
) -> None:
    sql = "select array_agg(p) from unnest($1::text[]) p where has_table_privilege($2, $3, p)"

    held = await empty_chat.admin.fetchval(sql, _ALL, role, table)

    assert set(held or ()) == set(_PRIVILEGES[table].get(role, "").split())


@pytest.mark.parametrize("role", _WHO)
@pytest.mark.parametrize("command", ["insert", "update"])
@pytest.mark.parametrize("table", _TABLES)
async def test_a_role_writes_these_columns_and_is_refused_every_other(
    empty_chat: Chat, table: str, command: str, role: str
) -> None:
    columns = await empty_chat.admin.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0"
        " and attgenerated = ''"
        " and not ($1 = 'public.runs' and attname = any($2))",
        f"public.{table}",
        _COMPUTED,
    )

    accepted, refusals = set(), set()
    for (column,) in columns:
        try:
            await empty_chat.browser(_WHO[role]).change(_touching(table, column, command))
        except asyncpg.InsufficientPrivilegeError as error:
            refusals.add(str(error).partition(" for ")[0])
        else:
            accepted.add(column)

    assert refusals <= {"permission denied"}
    assert accepted == set(_WRITES.get((table, command, role), "").split())


@pytest.mark.parametrize("table", _TABLES)
async def test_whatever_is_visible_is_visible_whole(empty_chat: Chat, table: str) -> None:
    for who in (ADA, SERVICE):
        await empty_chat.browser(who).fetch(f"select * from public.{table}")


async def test_sequences_are_nobodys(empty_chat: Chat) -> None:
    roles = ["anon", "authenticated", "service_role", "assistants_engine"]
    held = await empty_chat.admin.fetch(
        "select c.relname, r from pg_class c, unnest($1::text[]) r"
        " where c.relkind = 'S' and c.relnamespace in ('public'::regnamespace, 'engine'::regnamespace)"
        " and has_sequence_privilege(r, c.oid, 'usage, select, update')",
        roles,
    )

    assert held == []


async def test_a_merging_upsert_on_the_client_id_is_refused_and_changes_nothing(
    chat: Chat,
) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "first", client_id="c1")
    before = await chat.messages(session)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await chat.ada.change(
            "insert into public.messages (session_id, content, client_id) values ($1, $2, 'c1')"
            " on conflict (session_id, client_id) do update set session_id = excluded.session_id,"
            " content = excluded.content, client_id = excluded.client_id",
            session,
            "second",
        )

    assert await chat.messages(session) == before


async def test_the_written_row_comes_back_whole(chat: Chat) -> None:
    session = await chat.ada.insert("chat_sessions", title="x")
    message = await chat.ada.insert("messages", session_id=session["id"], content="Hello")

    assert {"user_id", "head_id", "status"} <= set(session.keys())
    assert {"role", "position", "parent_id", "run_id"} <= set(message.keys())


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("messages", {"role": "assistant"}),
        ("messages", {"user_id": "user_2bob"}),
        ("messages", {"position": 1}),
        ("messages", {"starts_run": False}),
        ("messages", {"created_at": None}),
        ("chat_sessions", {"user_id": "user_2bob"}),
        ("chat_sessions", {"org_id": "org_1"}),
        ("assistants", {"user_id": None}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
async def test_a_browser_cannot_forge_what_the_database_decides(
    empty_chat: Chat, table: str, columns: dict[str, Any]
) -> None:
    session = await empty_chat.ada.start_session()
    needed: dict[str, dict[str, Any]] = {
        "messages": {"session_id": session, "content": "x"},
        "chat_sessions": {"title": "x"},
        "assistants": {"name": "x"},
    }

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await empty_chat.ada.insert(table, **needed[table], **columns)


def _touching(table: str, column: str, command: str) -> str:
    # No row is written, but the right to write the column is asked for all the same.
    if command == "insert":
        return f"insert into public.{table} ({column}) select null where false"
    return f"update public.{table} set {column} = default where false"
