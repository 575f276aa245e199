"""A trial: a mutant is made, checks are asked until one fails, and nothing of it is left."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
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
        self,
        ground: Ground,
        connections: dict[str, Any],
        checks: Sequence[Check],
        killers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.connections = connections
        self.asked = 0
        """How many times a mutant was shown to a check."""
        self._ground = ground
        self._rules = [check for check in checks if check.is_rule]
        self._deeds = Nearness([check for check in checks if not check.is_rule])
        self._witnesses: dict[Check, bool] = {}
        by_id = {check.id: check for check in checks}
        self._killers = {name: by_id[it] for name, it in killers.items() if it in by_id}

    async def killer_of(self, broken: Mutant, limit: int = _MANY) -> Check | None:
        """Return the check that the mutant died of, or None if the nearest ones did not notice."""
        open_: dict[str, Any] = {}
        try:
            for check in itertools.islice(self._ordered(broken), limit):
                if not await self._fails(check, broken, open_):
                    continue
                await _roll_back(open_)
                if await self._is_witness(check):
                    self._learn(check)
                    return check
        finally:
            await _roll_back(open_)
        return None

    async def liars(self) -> list[Check]:
        """Return the checks that mutants died of and that fail where nothing is broken."""
        killers = [check for check, holds in self._witnesses.items() if holds]
        return [check for check in killers if not await self._holds(check)]

    def _ordered(self, broken: Mutant) -> Iterator[Check]:
        last = self._killers.get(broken.name)
        if last is not None:
            yield last
        yield from (check for check in self._unrecorded(broken) if check != last)

    def _unrecorded(self, broken: Mutant) -> Iterator[Check]:
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

    async def _is_witness(self, check: Check) -> bool:
        """Return whether it held where nothing is broken, asked when a mutant first died of it."""
        if check not in self._witnesses:
            self._witnesses[check] = await self._holds(check)
        return self._witnesses[check]

    async def _holds(self, check: Check) -> bool:
        """Return whether nothing fails where nothing is broken; else nothing can be learnt."""
        open_: dict[str, Any] = {}
        try:
            return not await self._fails(check, _NOTHING, open_)
        finally:
            await _roll_back(open_)

    async def _fails(self, check: Check, broken: Mutant, open_: dict[str, Any]) -> bool:
        """Return whether the check fails; what it did is undone."""
        if not self._witnesses.get(check, True):
            return False
        self.asked += 1
        connection = self.connections[check.ground]
        if check.ground not in open_:
            open_[check.ground] = connection
            await connection.execute(f"begin; {broken.sql}; savepoint broken")
        try:
            call = check.bound(self._ground.fixture(check, connection))
            async with asyncio.timeout(_PATIENCE_S):
                await (call() if check.is_awaited else asyncio.to_thread(call))
        except _DEATHS:
            return True
        finally:
            await connection.execute("rollback to savepoint broken")
        return False


async def _roll_back(open_: dict[str, Any]) -> None:
    while open_:
        _, connection = open_.popitem()
        await connection.execute("rollback")
