"""The matrix once more, where nothing pins tokens: each policy keeps by itself what is not one's own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import PreparedCluster
from tests.support.matrix import Cell, cells
from tests.support.world import World, open_world

OPEN_PINS = """
do $$
declare v_pin record;
begin
    for v_pin in select * from pg_policies where policyname = 'only tokens of our issuer count' loop
        execute format('alter policy %I on %I.%I using (true) with check (true)',
            v_pin.policyname, v_pin.schemaname, v_pin.tablename);
    end loop;
end
$$;
"""
# Who is no user has the pin alone before what is for everyone.
_NO_USERS = {"anonymous", "refused", "uncounted"}


def _rows() -> dict[tuple[str, str, str], dict[str, Cell]]:
    """Return one cell of each group of users, by what they try on whose things."""
    found: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in cells():
        if cell.group not in _NO_USERS and cell.operation.verb not in {"call", "truncate"}:
            found.setdefault((cell.whose, cell.table, cell.command), {})[cell.group] = cell
    return found


_ROWS = _rows()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unpinned(cluster: PreparedCluster) -> AsyncIterator[World]:
    """Yield a world whose restrictive policies let everybody through."""
    async with open_world(cluster) as made:
        made.database.execute(OPEN_PINS)
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("whose", "table", "command"), _ROWS, ids=["-".join(reversed(row)) for row in _ROWS]
)
async def test_a_policy_does_not_lean_on_the_pin(
    unpinned: World, whose: str, table: str, command: str
) -> None:
    row = _ROWS[whose, table, command]

    found = {it.id: await unpinned.attempt(table, command, it.who, whose) for it in row.values()}

    assert found == {cell.id: cell.expected for cell in row.values()}
