"""A search costs what it finds, whoever searches: also somebody with far more messages than others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import assume, user

_HEAVY = user("user_heavy")
# 300 users with ten messages each, and one with 5,000.
_FILL = """
set session_replication_role = replica;
insert into chat_sessions (id, user_id, assistant_id, title)
select md5('session ' || n)::uuid, case n when 0 then 'user_heavy' else 'user_' || n end, '{assistant}', 'x'
from generate_series(0, 300) as n;
insert into messages (session_id, user_id, position, content)
select s.id, s.user_id, nextval('engine.message_positions'),
    jsonb_build_array(jsonb_build_object('type', 'text', 'text', 'word dragon' || n))
from chat_sessions as s,
    generate_series(1, case s.user_id when 'user_heavy' then 5000 else 10 end) as n;
reset session_replication_role;
vacuum analyze
"""
_OF_THE_USER = (
    "messages_tenant_id_position_idx",
    "messages_session_id_tenant_id_position_idx",
)
_READ = "select coalesce(sum(pg_stat_get_xact_tuples_returned(i::regclass)), 0) from unnest($1::text[]) i"


@pytest_asyncio.fixture
async def filled(chat: Chat) -> AsyncIterator[Chat]:
    for statement in _FILL.format(assistant=DEMO_ASSISTANT).split(";\n"):
        await chat.admin.execute(statement)
    yield chat


@pytest.mark.parametrize("random_page_cost", ["1.1", "4"])
@pytest.mark.parametrize("kept", ["force_custom_plan", "force_generic_plan"])
async def test_a_search_reads_no_entry_of_messages_that_it_does_not_find(
    filled: Chat, random_page_cost: str, kept: str
) -> None:
    line = filled.line(random_page_cost=random_page_cost, plan_cache_mode=kept)
    connection: Any = await line.open()
    async with connection.transaction():
        await assume(connection, _HEAVY)
        found = await connection.fetch("select * from public.search_messages('dragon4711 word')")
        read = await connection.fetchval(_READ, [f"public.{name}" for name in _OF_THE_USER])

    assert len(found) == 1
    assert read <= 50
