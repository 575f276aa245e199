"""A seeded project for each test of the database part."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database, PreparedCluster


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a fresh project; its connections are closed before its database is dropped."""
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


@pytest.fixture(scope="module")
def kept_database(cluster: PreparedCluster) -> Iterator[Database]:
    """Yield one database for all tests of a module."""
    with cluster.database() as made:
        yield made


@pytest_asyncio.fixture
async def empty_chat(kept_database: Database) -> AsyncIterator[Chat]:
    """Yield a project without sessions, for tests that are refused or roll back."""
    async with AsyncExitStack() as stack:
        yield await open_chat(kept_database, stack)
