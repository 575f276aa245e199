"""A seeded project, the service's login, and gateways to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack

import pytest
import pytest_asyncio

from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
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


@pytest_asyncio.fixture(params=["direct", "through a pooler"])
async def gateway(
    request: pytest.FixtureRequest, service_url: str
) -> AsyncIterator[AsyncpgGateway]:
    """Yield a gateway by each of the ways there are."""
    through_pooler = request.param != "direct"
    with ExitStack() as stack:
        url = service_url
        if through_pooler:
            url = stack.enter_context(transaction_pooler(service_url))
            await answers(url)
        async with AsyncpgGateway(
            url, SystemClock(), size=4, timeout_s=2, through_pooler=through_pooler
        ) as made:
            yield made
