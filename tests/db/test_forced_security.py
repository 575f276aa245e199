"""An owner of the tables without BYPASSRLS: it works, and where it cannot, it says so."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.support.chat import Chat

_TABLES = ["public.chat_sessions", "public.messages", "public.assistants", "engine.runs"]
_PLAIN_OWNER = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'plain_owner') then
        create role plain_owner nologin;
    end if;
end
$$;
grant usage on schema auth to plain_owner;
grant usage, create on schema public to plain_owner;
"""
_HAND_OVER = """
select format('alter %s %s owner to plain_owner', kind, name) from (
    select 'schema' as kind, 'engine' as name
    union all select case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end,
        oid::regclass::text from pg_class
    where relnamespace in ('public'::regnamespace, 'engine'::regnamespace)
    and relkind in ('r', 'v', 'S') and not exists (select from pg_depend d
        where d.objid = pg_class.oid and d.deptype = 'i' and d.refobjsubid > 0)
    union all select 'function', oid::regprocedure::text from pg_proc
    where pronamespace in ('public'::regnamespace, 'engine'::regnamespace)
) as o
"""


@pytest_asyncio.fixture
async def plain_chat(chat: Chat) -> AsyncIterator[Chat]:
    """Yield a project whose objects belong to a role without any attribute."""
    await chat.admin.execute(_PLAIN_OWNER)
    for (statement,) in await chat.admin.fetch(_HAND_OVER):
        await chat.admin.execute(statement)
    yield chat


async def test_a_plain_owner_of_the_tables_is_enough(plain_chat: Chat) -> None:
    claim = await plain_chat.claimed("M1")
    await plain_chat.worker.finish(claim, "R1")
    await plain_chat.ada.regenerate(UUID(claim["message_id"]))
    await plain_chat.ada.search("M1")

    assert await plain_chat.path(claim["session_id"]) == ["M1"]
    assert await plain_chat.statuses(claim["session_id"]) == ["completed", "ready"]


@pytest.mark.parametrize("table", _TABLES)
async def test_where_security_is_forced_on_it_a_message_fails_loudly_and_whole(
    plain_chat: Chat, table: str
) -> None:
    session = await plain_chat.ada.start_session()
    await plain_chat.admin.execute(f"alter table {table} force row level security")

    with pytest.raises(asyncpg.PostgresError):
        await plain_chat.ada.say(session)

    assert await plain_chat.messages(session) == []
    assert await plain_chat.runs(session) == []


@pytest.mark.parametrize("table", [*_TABLES, "engine.settings"])
async def test_the_hosted_owner_bypasses_it_where_it_is_forced(chat: Chat, table: str) -> None:
    await chat.admin.execute(f"alter table {table} force row level security")

    claim = await chat.claimed("M1")

    assert (await chat.worker.finish(claim, "R1"))["state"] == "stored"
