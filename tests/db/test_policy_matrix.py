"""Every cell of tests/db/matrix: who may do what with whose rows, as the Data API switches roles.

Attachments have a table of their own in test_storage_policies, what no browser reaches at all is in
test_out_of_reach, columns are in test_grants.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import PreparedCluster
from tests.support.identities import ADA, BOB, ODD
from tests.support.matrix import cells, rows
from tests.support.world import World, open_world

CELLS = cells()
_ROWS = rows(CELLS)
_SEEN = ("chat_sessions", "messages", "assistants", "runs", "session_shares", "usage_by_day")
_TENANTS = {
    "owner": ("user_id", ADA.sub),
    "other": ("user_id", BOB.sub),
    "odd": ("user_id", ODD.sub),
    "member": ("org_id", "org_1"),
    "admin_v1": ("org_id", "org_1"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(cluster: PreparedCluster) -> AsyncIterator[World]:
    """Yield a world that each test leaves as it was: it rolls back."""
    async with open_world(cluster) as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", _ROWS)
async def test_each_cell_of_the_row(world: World, row: str) -> None:
    found = {
        cell.who: await world.attempt(cell.table, cell.command, cell.who, cell.whose)
        for cell in _ROWS[row]
    }

    assert found == {cell.who: cell.expected for cell in _ROWS[row]}


# The seeds' list of policies, in its words: each is a section of the table about one's own rows.
_RULES = {
    "Chat sessions, SELECT: users see only their own sessions": {"select", "count", "embed"},
    "Chat sessions, INSERT: users create sessions only with their own id": {"insert"},
    "Chat sessions, UPDATE: users change only their own sessions": {"update", "overwrite"},
    "Chat sessions, DELETE: users delete only their own sessions": {"delete", "wipe"},
    "Messages, SELECT: users see messages of their own sessions only": {"select", "count", "embed"},
    "Messages, INSERT: users add messages to their own sessions only": {"insert"},
    "Messages, UPDATE: users change messages of their own sessions only": {"update", "overwrite"},
    "Messages, DELETE: users delete messages of their own sessions only": {"delete", "wipe"},
}


@pytest.mark.parametrize("rule", _RULES)
def test_the_table_holds_the_rule(rule: str) -> None:
    section = [cell for cell in CELLS if cell.rule == rule]
    table = rule.partition(",")[0].lower().replace(" ", "_")
    own = {cell.command for cell in section if cell.group == "owner" and not cell.is_denied}
    nobody = {cell.expected for cell in section if cell.group in {"anonymous", "uncounted"}}

    assert {cell.table for cell in section} == {table}
    assert own >= _RULES[rule]
    assert nobody <= {"0", "42501"}


def test_every_row_has_another_user_and_everything_that_is_granted_has_somebody() -> None:
    tried = {(cell.whose, cell.table, cell.command) for cell in CELLS}

    assert {(it.whose, it.table, it.command) for it in CELLS if it.group == "stranger"} == tried
    assert {cell.table for cell in CELLS if not cell.is_denied} >= set(_SEEN)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", _TENANTS)
@pytest.mark.parametrize("table", _SEEN)
async def test_everything_that_one_sees_belongs_to_one(world: World, table: str, who: str) -> None:
    column, tenant = _TENANTS[who]
    # Nia, who has written nothing, has used nothing.
    has_none = (table, column) == ("assistants", "org_id") or (table, who) == (
        "usage_by_day",
        "member",
    )

    async with world.visit(world.visitors["organisation"][who]) as connection:
        rows = await connection.fetch(f"select distinct {column} as it from public.{table}")

    assert [row["it"] for row in rows] == ([] if has_none else [tenant])
