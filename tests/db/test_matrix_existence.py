"""Whoever is denied something learns the same, word for word, where there is nothing at all."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import PreparedCluster
from tests.support.matrix import Cell, cells
from tests.support.operations import operation
from tests.support.world import World, nothing_like, open_world

# Whoever may read a row may be told why it cannot be changed.
_INSIDE = {
    "personal": {"owner"},
    "organisation": {"member", "author", "demoted", "starter", "admin"},
}


def _rows() -> dict[tuple[str, str, str], list[Cell]]:
    """Return the cells of those from outside, by what they try on whose things."""
    found: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells():
        is_outside = cell.group not in _INSIDE[cell.whose]
        if cell.is_denied and is_outside and cell.operation.names_something:
            found.setdefault((cell.whose, cell.table, cell.command), []).append(cell)
    return found


_ROWS = _rows()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(cluster: PreparedCluster) -> AsyncIterator[World]:
    """Yield a world that each test leaves as it was: it rolls back."""
    async with open_world(cluster) as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("whose", "table", "command"), _ROWS, ids=["-".join(reversed(row)) for row in _ROWS]
)
async def test_a_foreign_and_a_missing_thing_look_alike(
    world: World, whose: str, table: str, command: str
) -> None:
    for cell in _ROWS[whose, table, command]:
        visitor = world.visitors[whose][cell.who]
        things = world.things[whose]

        foreign = await world.answer(operation(table, command).about(things), visitor)
        missing = await world.answer(operation(table, command).about(nothing_like(things)), visitor)

        assert foreign == missing, cell.id


def test_everything_that_somebody_may_do_is_asked_by_others() -> None:
    asked = {
        (cell.whose, cell.table, cell.command)
        for cell in cells()
        if not cell.is_denied and cell.operation.names_something
    }

    assert asked <= set(_ROWS)
