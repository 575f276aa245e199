"""The schema `engine` is nobody's but the service's, and the service's is nothing else."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, ANONYMOUS, SERVICE

_ROLES = {"anon": ANONYMOUS, "authenticated": ADA, "service_role": SERVICE}
_BROWSER_FUNCTIONS = {
    "cancel_run": "cancel_run(gen_random_uuid())",
    "regenerate": "regenerate(gen_random_uuid())",
    "submit_tool_outputs": "submit_tool_outputs(gen_random_uuid(), '[]')",
    "search_messages": "search_messages('dragon')",
}


@pytest.mark.parametrize("role", _ROLES)
async def test_no_function_of_the_engine_can_be_called_by_name(empty_chat: Chat, role: str) -> None:
    functions = await empty_chat.admin.fetch(
        "select proname, pronargs from pg_proc where pronamespace = 'engine'::regnamespace"
    )
    assert len(functions) > 40
    for name, arguments in functions:
        call = f"select engine.{name}({', '.join(['null'] * arguments)})"
        assert await _refusal(empty_chat, role, call) == "permission denied for schema engine", name


@pytest.mark.parametrize("role", _ROLES)
@pytest.mark.parametrize("table", ["runs", "run_steps", "events", "settings"])
@pytest.mark.parametrize(
    "sql",
    ["select from {}", "insert into {} default values", "delete from {}", "truncate {}"],
    ids=lambda sql: sql.split()[0],
)
async def test_no_table_of_the_engine_can_be_named(
    empty_chat: Chat, role: str, table: str, sql: str
) -> None:
    refusal = await _refusal(empty_chat, role, sql.format(f"engine.{table}"))

    assert refusal == "permission denied for schema engine"


@pytest.mark.parametrize("role", _ROLES)
async def test_a_search_path_opens_nothing(empty_chat: Chat, role: str) -> None:
    async with empty_chat.browser(_ROLES[role]).transaction() as connection:
        await connection.execute("set local search_path = engine, public")

        assert await connection.fetchval("select to_regclass('run_steps')") is None
        assert await connection.fetchval("select to_regproc('claim_runs')") is None


@pytest.mark.parametrize("function", _BROWSER_FUNCTIONS)
@pytest.mark.parametrize("role", ["anon", "service_role"])
async def test_only_signed_in_users_call_the_browsers_functions(
    empty_chat: Chat, role: str, function: str
) -> None:
    refusal = await _refusal(empty_chat, role, f"select from public.{_BROWSER_FUNCTIONS[function]}")

    assert refusal == f"permission denied for function {function}"


@pytest.mark.parametrize("role", _ROLES)
async def test_nobody_makes_objects_in_either_schema(empty_chat: Chat, role: str) -> None:
    for schema in ("public", "engine"):
        refusal = await _refusal(empty_chat, role, f"create table {schema}.trap (id int)")
        assert refusal == f"permission denied for schema {schema}"


@pytest.mark.parametrize("role", _ROLES)
async def test_nobody_writes_triggers_or_policies(empty_chat: Chat, role: str) -> None:
    for sql in (
        "alter table public.messages disable row level security",
        "alter table public.messages disable trigger place_message",
        "create policy mine on public.messages using (true)",
    ):
        assert await _refusal(empty_chat, role, sql) == "must be owner of table messages"


async def test_before_a_role_is_chosen_the_data_api_may_do_nothing(empty_chat: Chat) -> None:
    connection = await empty_chat.line("authenticator").open()

    for table in ("chat_sessions", "messages", "assistants", "shared_assistants", "runs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"select from public.{table}")


@pytest.mark.parametrize(
    "sql",
    [
        "select from engine.runs",
        "select from engine.settings",
        "select from public.messages",
        "select from public.chat_sessions",
        "update engine.runs set fence = 0",
        "select engine.promote(null)",
        "select engine.cancel_own_run(null)",
        "select public.cancel_run(null)",
        "create table public.trap (id int)",
        "create table engine.trap (id int)",
    ],
)
async def test_the_service_calls_its_functions_and_nothing_else(empty_chat: Chat, sql: str) -> None:
    connection = await empty_chat.worker.line.open()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(sql)


async def test_a_browser_that_reads_the_view_cannot_read_the_table_beneath(chat: Chat) -> None:
    claim = await chat.claimed()

    (row,) = await chat.ada.fetch("select * from public.runs")

    hidden = {"fence", "failures", "worker", "lease_until", "run_after", "priority"}
    assert str(row["id"]) == claim["run_id"]
    assert not hidden & set(row.keys())


async def _refusal(chat: Chat, role: str, sql: str) -> str | None:
    browser: Any = chat.browser(_ROLES[role])
    try:
        await browser.fetch(sql)
    except asyncpg.InsufficientPrivilegeError as error:
        return str(error)
    return None
