"""A seeded project, the service's login, and gateways to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack

import pytest
import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from backend.ports.gateway import Gateway
from tests.contract.ways import ByLogin, OverTheDataApi, Way
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.pooler import answers, transaction_pooler


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a fresh project; its connections are closed before its database is dropped."""
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


@pytest_asyncio.fixture
async def service_url(chat: Chat) -> str:
    """Return the service's login."""
    return await create_service_role(chat.database.url("postgres"))


@pytest_asyncio.fixture(params=["direct", "through a pooler", "over the Data API"])
async def way(request: pytest.FixtureRequest, chat: Chat, service_url: str) -> AsyncIterator[Way]:
    """Yield each of the ways to the database that there are."""
    with ExitStack() as stack:
        if request.param == "over the Data API":
            project = stack.enter_context(open_project(chat.database))
            await is_served(project)
            yield OverTheDataApi(chat, project)
        elif request.param == "through a pooler":
            url = stack.enter_context(transaction_pooler(service_url))
            await answers(url)
            yield ByLogin(chat, url, through_pooler=True)
        else:
            yield ByLogin(chat, service_url, through_pooler=False)


@pytest_asyncio.fixture
async def gateway(way: Way) -> AsyncIterator[Gateway]:
    """Yield a gateway by each of the ways."""
    async with way.open() as made:
        yield made
