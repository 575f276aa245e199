"""A seeded project for the tests that need one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
from tests.tools.web_server import WebServer, web_server


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a fresh project; its connections are closed before its database is dropped."""
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WebServer]:
    """Yield a web server of this test's own."""
    async with web_server() as made:
        yield made
