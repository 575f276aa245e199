"""The way to organisations, with rows from before, with writers on the way, and back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from backend.integrations.supabase import bundle, migrations
from tests.support.chat import SEED, Chat
from tests.support.cluster import Database, PreparedCluster
from tests.support.connections import Line
from tests.support.identities import user
from tests.support.migrating import apply, bare_database, files

BEFORE = "20261121004610"
JOINED = "20261121005058"
"""From here on new sessions are an organisation's."""
MEMBER = user("user_2ada", org_id="org_1")
COLLEAGUE = user("user_2bob", org_id="org_1")
ALONE = user("user_2ada")
STEPS = [step.version for step in bundle.migrations() if step.version > BEFORE][:-1]


@pytest_asyncio.fixture
async def old(cluster: PreparedCluster) -> AsyncIterator[Chat]:
    """Yield a project of the release before organisations."""
    with bare_database(cluster) as database:
        apply(database, files(until=BEFORE))
        async with AsyncExitStack() as stack:
            admin = await Line(stack, database.url("supabase_admin")).open()
            await admin.execute(SEED.read_text(encoding="utf-8"))
            yield Chat(database, stack, admin)


async def _everything(chat: Chat) -> list[Any]:
    """Return what the colleague sees of it, by a connection that knows the new columns."""
    browser = chat.browser(COLLEAGUE)
    tables = ("chat_sessions", "messages", "runs")
    return [row for table in tables for row in await browser.fetch(f"select id from {table}")]


async def test_what_was_written_under_an_organisation_stays_its_users_alone(old: Chat) -> None:
    session = await old.browser(MEMBER).start_session()
    message = await old.browser(MEMBER).say(session)

    apply(old.database, bundle.migrations())

    assert await _everything(old) == []
    sees = await old.browser(ALONE).fetch("select id from public.messages")
    assert [row["id"] for row in sees] == [message]


@pytest.mark.parametrize("until", STEPS)
async def test_what_is_written_on_the_way_is_its_users_alone_or_refused(
    old: Chat, until: str
) -> None:
    apply(old.database, files(until=until))
    message = None
    with suppress(asyncpg.InsufficientPrivilegeError):
        message = await old.browser(MEMBER).say(await old.browser(MEMBER).start_session())

    apply(old.database, bundle.migrations())

    is_shared = until >= JOINED
    assert bool(await _everything(old)) == is_shared
    if message:
        change = "update public.messages set content = to_jsonb('Forged'::text) where id = $1"
        await old.admin.execute("update engine.runs set ended_at = now(), status = 'cancelled'")
        assert await old.browser(COLLEAGUE).change(change, message) == 0
        assert (await old.run_of(message))["requester_id"] == MEMBER.sub
    else:
        assert not is_shared


async def test_an_assistant_that_was_shared_with_no_organisation_is_private_then(old: Chat) -> None:
    row = await old.browser(ALONE).insert("assistants", name="Mine", visibility="organisation")

    apply(old.database, bundle.migrations())

    change = "update public.assistants set name = 'Still mine' where visibility = 'private'"
    assert await old.browser(ALONE).change(change) == 1
    assert await old.browser(ALONE).delete("assistants", row["id"]) == 1


async def test_on_the_way_back_sessions_are_their_starters_again(database: Database) -> None:
    async with AsyncExitStack() as stack:
        admin = await Line(stack, database.url("supabase_admin")).open()
        await admin.execute(SEED.read_text(encoding="utf-8"))
        chat = Chat(database, stack, admin)
        session = await chat.browser(MEMBER).start_session()
        await chat.browser(COLLEAGUE).say(session)

        await migrations.back_to(database.url(), BEFORE, bundle.migrations())

        assert await _everything(chat) == []
        rows = await chat.browser(ALONE).fetch("select session_id from public.messages")
        assert [row["session_id"] for row in rows] == [session]
