"""The ground of all mutants of a process, and a trial on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest
import pytest_asyncio

from tests.mutants.ground import Ground, fill
from tests.mutants.trial import Trial
from tests.mutants.wall import GROUNDS, checks
from tests.support.cluster import PreparedCluster


@pytest.fixture(scope="session")
def ground(cluster: PreparedCluster) -> Iterator[Ground]:
    """Yield the databases that mutants are tried on."""
    with ExitStack() as stack:
        names = sorted(set(GROUNDS.values()))
        yield asyncio.run(fill({it: stack.enter_context(cluster.database()) for it in names}))


@pytest_asyncio.fixture
async def trial(ground: Ground) -> AsyncIterator[Trial]:
    """Yield a trial that asks every check."""
    async with AsyncExitStack() as stack:
        yield Trial(ground, await ground.connect(stack), checks())
