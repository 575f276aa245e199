"""Every cell of the tables in supabase/policies: who may do what with whose rows."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database, PreparedCluster
from tests.support.connections import connect
from tests.support.identities import (
    ADA,
    ANONYMOUS,
    BOB,
    EMPTY_SUB,
    NO_SUB,
    ODD,
    Identity,
    assume,
)

if TYPE_CHECKING:
    from uuid import UUID

# What each identity gets: a number of rows, or the SQLSTATE of the refusal. `owner` and `odd` (an
# id with quotes, spaces and an emoji) act on rows of their own, the others on Ada's. `overwrite` and
# `wipe` name no row and reach one's own.
CELLS = """
table              command   anonymous  no_sub  empty_sub  other  owner  odd
chat_sessions      select    42501      0       0          0      1      1
chat_sessions      insert    42501      42501   42501      1      1      1
chat_sessions      update    42501      0       0          0      1      1
chat_sessions      delete    42501      0       0          0      1      1
chat_sessions      overwrite 42501      0       0          1      1      1
chat_sessions      wipe      42501      0       0          1      1      1
chat_sessions      upsert    42501      42501   42501      42501  42501  42501
chat_sessions      truncate  42501      42501   42501      42501  42501  42501
messages           select    42501      0       0          0      2      2
messages           insert    42501      42501   42501      42501  1      1
messages           update    42501      0       0          0      2      2
messages           delete    42501      0       0          0      2      2
messages           overwrite 42501      0       0          2      2      2
messages           wipe      42501      0       0          2      2      2
messages           upsert    42501      42501   42501      42501  42501  42501
messages           truncate  42501      42501   42501      42501  42501  42501
assistants         select    42501      0       0          0      2      2
assistants         insert    42501      42501   42501      1      1      1
assistants         update    42501      0       0          0      2      2
assistants         delete    42501      0       0          0      2      2
assistants         overwrite 42501      0       0          2      2      2
assistants         wipe      42501      0       0          2      2      2
assistants         upsert    42501      42501   42501      42501  42501  42501
assistants         truncate  42501      42501   42501      42501  42501  42501
shared_assistants  select    42501      0       0          1      1      1
shared_assistants  insert    42501      42501   42501      42501  42501  42501
shared_assistants  update    42501      42501   42501      42501  42501  42501
shared_assistants  delete    42501      42501   42501      42501  42501  42501
shared_assistants  truncate  42501      42501   42501      42501  42501  42501
runs               select    42501      0       0          0      1      1
runs               insert    42501      42501   42501      42501  42501  42501
runs               update    42501      42501   42501      42501  42501  42501
runs               delete    42501      42501   42501      42501  42501  42501
"""

_IDENTITIES = {
    "anonymous": ANONYMOUS,
    "no_sub": NO_SUB,
    "empty_sub": EMPTY_SUB,
    "other": BOB,
    "owner": ADA,
    "odd": ODD,
}
_FILTERS = {"shared_assistants": "id in (select $1::uuid)"}
_COLUMNS = {
    "chat_sessions": "title",
    "messages": "metadata",
    "assistants": "description",
    "shared_assistants": "name",
    "runs": "model",
}
_INSERTS = {
    "chat_sessions": "(title) values ('x')",
    "messages": "(session_id, content) values ('{session}', '\"x\"')",
    "assistants": "(name) values ('x')",
    "shared_assistants": "(name) values ('x')",
    "runs": "(model) values ('x')",
}


def _cells() -> list[Any]:
    heading, *rows = (line.split() for line in CELLS.strip().splitlines())
    return [
        pytest.param(table, command, who, expected, id=f"{who}-{command}-{table}")
        for table, command, *results in rows
        for who, expected in zip(heading[2:], results, strict=True)
    ]


class World:
    """A database in which Ada, Bob and the odd one each have a session, a reply, assistants."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions: dict[str, UUID] = {}
        self.shared: dict[str, UUID] = {}

    async def fill(self) -> None:
        async with AsyncExitStack() as stack:
            chat = await open_chat(self.database, stack)
            for who in (ADA, BOB, ODD):
                await self._settle(chat, who)

    async def _settle(self, chat: Chat, who: Identity) -> None:
        browser = chat.browser(who)
        self.sessions[who.sub] = await browser.start_session()
        await browser.say(self.sessions[who.sub])
        await chat.worker.finish(await chat.worker.claim_one())
        await browser.insert("assistants", name="private")
        row = await browser.insert("assistants", name="shared", visibility="everyone")
        self.shared[who.sub] = row["id"]


@pytest.fixture(scope="module")
def world(cluster: PreparedCluster) -> Iterator[World]:
    """Yield a world that each test leaves as it was: it rolls back."""
    with cluster.database() as database:
        made = World(database)
        asyncio.run(made.fill())
        yield made


@pytest.mark.parametrize(("table", "command", "who", "expected"), _cells())
async def test_cell(world: World, table: str, command: str, who: str, expected: str) -> None:
    identity = _IDENTITIES[who]
    owner = ODD.sub if who == "odd" else ADA.sub
    sql, values = _statement(world, table, command, owner)

    assert await _attempt(world, identity, sql, values) == expected


@pytest.mark.parametrize("who", ["owner", "other", "odd"])
@pytest.mark.parametrize("table", ["chat_sessions", "messages", "assistants", "runs"])
async def test_everything_that_a_user_sees_is_the_users_own(
    world: World, table: str, who: str
) -> None:
    sql = f"select distinct user_id from public.{table}"
    identity = _IDENTITIES[who]

    connection = await connect(world.database.url("authenticator"))
    async with connection.transaction():
        await assume(connection, identity)
        seen = [row["user_id"] for row in await connection.fetch(sql)]
    await connection.close()

    assert seen == [identity.sub]


def _statement(world: World, table: str, command: str, owner: str) -> tuple[str, list[Any]]:
    column = _COLUMNS[table]
    where = _FILTERS.get(table, "user_id = $1")
    key = world.shared[owner] if table in _FILTERS else owner
    insert = f"insert into public.{table} {_INSERTS[table]}".format(session=world.sessions[owner])
    # As the Data API writes it for `resolution=merge-duplicates`.
    merge = f" on conflict (id) do update set id = excluded.id, {column} = excluded.{column}"
    return {
        "select": (f"select 1 from public.{table} where {where}", [key]),
        "insert": (insert, []),
        "update": (f"update public.{table} set {column} = {column} where {where}", [key]),
        "delete": (f"delete from public.{table} where {where}", [key]),
        "upsert": (insert + merge, []),
        "truncate": (f"truncate public.{table}", []),
        # Without a filter: the policy of the command stands alone, no column is read.
        "overwrite": (f"update public.{table} set {column} = default", []),
        "wipe": (f"delete from public.{table}", []),
    }[command]


async def _attempt(world: World, who: Identity, sql: str, values: list[Any]) -> str:
    connection = await connect(world.database.url("authenticator"))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await assume(connection, who)
        await _unhang(connection, who, sql)
        return str((await connection.execute(sql, *values)).split()[-1])
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    finally:
        await transaction.rollback()
        await connection.close()


async def _unhang(connection: Any, who: Identity, sql: str) -> None:
    # A used assistant cannot be deleted, which is another rule than the policy's.
    if sql.startswith("delete from public.assistants") and who.role == "authenticated":
        await connection.execute("delete from public.chat_sessions")
