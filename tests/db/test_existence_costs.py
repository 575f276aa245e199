"""A foreign thing costs what a missing one costs, however large it is: answers take no longer.

Pages are counted, not milliseconds: all that a statement touched, with its triggers and functions,
also when it was refused.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chat import DEMO_ASSISTANT, Chat, open_chat
from tests.support.cluster import PreparedCluster
from tests.support.identities import Identity
from tests.support.matrix import cells
from tests.support.operations import Operation
from tests.support.world import World, nothing_like

# Where a row is found and not shown: its page, and the way to it in two indexes.
_A_LOOK = 8
_LARGE = 3000
_LINKS = 100  # that share_session makes for one session
_OUTSIDE = {"personal": ("other", "admin"), "organisation": ("other", "left", "rival_admin")}
_ENLARGE = """
set session_replication_role = replica;
insert into public.messages (session_id, user_id, org_id, position, role, content, parent_id, run_id)
select s.id, s.user_id, s.org_id, nextval('engine.message_positions'), 'assistant',
    jsonb_build_array(jsonb_build_object('type', 'text', 'text', 'A dragon! ' || repeat('x', 500))),
    '{message}', gen_random_uuid()
from public.chat_sessions as s, generate_series(1, {large}) where s.id = '{session}';
insert into engine.runs (
    session_id, user_id, org_id, model, origin, status, ended_at, message_id, assistant_id)
select s.id, s.user_id, s.org_id, 'offline:demo', 'api', 'completed', now(), '{message}', '{private}'
from public.chat_sessions as s, generate_series(1, {large}) where s.id = '{session}';
insert into public.chat_sessions (user_id, org_id, title, assistant_id)
select s.user_id, s.org_id, 'x', '{private}'
from public.chat_sessions as s, generate_series(1, {large}) where s.id = '{session}';
insert into public.session_shares (id, session_id, user_id, org_id, created_by)
select gen_random_uuid(), s.id, s.user_id, s.org_id, s.user_id
from public.chat_sessions as s, generate_series(1, {links}) where s.id = '{session}';
reset session_replication_role
"""
# Rows of many others, so that an index is worth its while.
_CROWD = """
set session_replication_role = replica;
insert into public.chat_sessions (id, user_id, title, assistant_id)
select md5('session ' || n)::uuid, 'user_' || n, 'x', '{assistant}' from generate_series(1, {large}) as n;
insert into public.messages (session_id, user_id, position, content)
select s.id, s.user_id, nextval('engine.message_positions'), '[]'
from public.chat_sessions as s, generate_series(1, 3) where s.title = 'x';
reset session_replication_role
"""
_MEASURE = """
create function public.tried(p_sql text) returns text language plpgsql as $$
begin
    execute p_sql;
    return null;
exception when others then
    return sqlstate;
end
$$;
grant execute on function public.tried(text) to anon, authenticated
"""


# Beyond the matrix: all rows that point to a thing, not only those of one session.
_POINTING = {
    "chat_sessions": {"assistant_id": "{private}"},
    "messages": {"parent_id": "{message}", "role": "assistant"},
    "runs": {"assistant_id": "{private}"},
}


def _operations() -> dict[str, tuple[str, str, Operation]]:
    """Return what is denied in the matrix and names a thing: whose it is, and who tries."""
    found = {
        cell.id: (cell.whose, cell.who, cell.operation)
        for cell in cells()
        if cell.is_denied and cell.who in _OUTSIDE[cell.whose] and cell.operation.names_something
    }
    for whose, visitors in _OUTSIDE.items():
        for who in visitors:
            for table, where in _POINTING.items():
                tried = Operation("count", table, where=where)
                found[f"{whose}-{who}-pointing-{table}"] = (whose, who, tried)
    return found


_OPERATIONS = _operations()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(cluster: PreparedCluster) -> AsyncIterator[World]:
    """Yield a world in which a session of Ada's and one of the organisation's are huge."""
    with cluster.database() as database:
        made = World(database)
        async with AsyncExitStack() as stack:
            chat = await open_chat(database, stack)
            await made.fill(chat)
            await _enlarge(made, chat)
        yield made
        await made.close()


async def _enlarge(world: World, chat: Chat) -> None:
    crowd = _CROWD.format(large=_LARGE, assistant=DEMO_ASSISTANT)
    numbers = {"large": _LARGE, "links": _LINKS}
    large = (_ENLARGE.format(**numbers, **world.things[whose]) for whose in _OUTSIDE)
    for statement in ";\n".join([crowd, *large]).split(";\n"):
        await chat.admin.execute(statement)
    await chat.admin.execute(_MEASURE)
    await chat.admin.execute("vacuum analyze")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", _OPERATIONS)
async def test_a_foreign_thing_costs_what_a_missing_one_costs(world: World, name: str) -> None:
    whose, who, tried = _OPERATIONS[name]
    things, visitor = world.things[whose], world.visitors[whose][who]

    foreign, missing = await _pages(
        world, visitor, tried.about(things), tried.about(nothing_like(things))
    )

    assert abs(foreign - missing) <= _A_LOOK


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("whose", "who"), [("personal", "owner"), ("organisation", "member")])
async def test_the_measure_sees_what_somebody_reads(world: World, whose: str, who: str) -> None:
    where = {"session_id": "{session}", "role": "assistant"}
    tried = Operation("count", "messages", where=where)
    things = world.things[whose]

    own, missing = await _pages(
        world,
        world.visitors[whose][who],
        tried.about(things),
        tried.about(nothing_like(things)),
    )

    assert own > missing + 10 * _A_LOOK


async def _pages(world: World, who: Identity, *tried: Operation) -> list[int]:
    """Return how many pages each attempt touches when its plans and the catalogue are known."""
    found: list[int] = []
    for attempt in (*tried, *tried):
        async with world.visit(who) as connection:
            text = _with_values(*attempt.sql())
            explained = await connection.fetchval(
                f"explain (analyze, buffers, format json) select public.tried({_literal(text)})"
            )
        plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
        found.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return found[len(tried) :]


def _with_values(sql: str, values: list[Any]) -> str:
    for number, value in reversed(list(enumerate(values, 1))):
        sql = sql.replace(f"${number}", _literal(value))
    return sql


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("'", "''") + "'"
