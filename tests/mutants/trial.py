"""A trial: a mutant is made, checks are asked until one fails, and nothing of it is left."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.mutants.ground import Ground
from tests.mutants.mutant import Mutant, mutant
from tests.mutants.nearness import Nearness
from tests.mutants.wall import Check

# A mutant that so many of the nearest checks do not notice has survived.
_MANY = 1500
# As long as a statement of a test may take.
_PATIENCE_S = 30
# A failed assertion, a refusal where none was due, or `pytest.raises` without one.
_DEATHS = (Exception, pytest.fail.Exception)
_NOTHING = mutant("nothing", "select")


class Trial:
    """Tries mutants, on one connection to each database of the ground."""

    def __init__(
        self, ground: Ground, connections: dict[str, Any], checks: Sequence[Check]
    ) -> None:
        self.connections = connections
        self._ground = ground
        self._rules = [check for check in checks if check.is_rule]
        self._deeds = Nearness([check for check in checks if not check.is_rule])
        self._no_witnesses: set[Check] = set()

    async def killer_of(self, broken: Mutant, limit: int = _MANY) -> Check | None:
        """Return the check that the mutant died of, or None if the nearest ones did not notice."""
        open_: dict[str, Any] = {}
        try:
            for check in itertools.islice(self._ordered(broken), limit):
                if not await self._fails(check, broken, open_):
                    continue
                await _roll_back(open_)
                if await self._holds(check):
                    self._learn(check)
                    return check
                self._no_witnesses.add(check)
        finally:
            await _roll_back(open_)
        return None

    def _ordered(self, broken: Mutant) -> Iterator[Check]:
        if broken.by_rules:
            yield from list(self._rules)
        yield from self._deeds.ordered(broken)

    def _learn(self, check: Check) -> None:
        if check.is_rule:
            # It will be the next mutant's too.
            self._rules.remove(check)
            self._rules.insert(0, check)
        else:
            self._deeds.learn(check)

    async def _holds(self, check: Check) -> bool:
        """Return whether nothing fails where nothing is broken; else nothing can be learnt."""
        open_: dict[str, Any] = {}
        try:
            return not await self._fails(check, _NOTHING, open_)
        finally:
            await _roll_back(open_)

    async def _fails(self, check: Check, broken: Mutant, open_: dict[str, Any]) -> bool:
        """Return whether the check fails; what it did is undone."""
        if check in self._no_witnesses:
            return False
        connection = self.connections[check.ground]
        if check.ground not in open_:
            open_[check.ground] = connection.transaction()
            await open_[check.ground].start()
            await connection.execute(broken.sql)
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            call = check.bound(self._ground.fixture(check, connection))
            async with asyncio.timeout(_PATIENCE_S):
                await (call() if check.is_awaited else asyncio.to_thread(call))
        except _DEATHS:
            return True
        finally:
            await savepoint.rollback()
        return False


async def _roll_back(open_: dict[str, Any]) -> None:
    while open_:
        _, transaction = open_.popitem()
        await transaction.rollback()
