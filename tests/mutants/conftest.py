"""The ground of all mutants of a process, and a trial on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.mutants import killers
from tests.mutants.ground import Ground, open_ground
from tests.mutants.trial import Trial
from tests.mutants.wall import checks
from tests.support.cluster import PreparedCluster


@pytest.fixture(scope="session")
def ground(cluster: PreparedCluster) -> Iterator[Ground]:
    """Yield the databases that mutants are tried on."""
    with open_ground(cluster) as made:
        yield made


@pytest_asyncio.fixture
async def trial(ground: Ground) -> AsyncIterator[Trial]:
    """Yield a trial that asks every check."""
    async with AsyncExitStack() as stack:
        yield Trial(ground, await ground.connect(stack), checks(), killers.read())
