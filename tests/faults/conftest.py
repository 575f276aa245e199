"""A seeded project, and real workers that a test may harm."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.processes import open_workshop


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    """Yield a project with a workshop; its workers end before its database is dropped."""
    service_url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        workshop = stack.enter_context(open_workshop(service_url))
        yield Scene(chat, workshop, stack)
