"""A seeded project, and real workers that a test may harm."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.processes import Workshop, open_workshop


@pytest.fixture
def way() -> str:
    """Return how workers reach the database; tests name other ways by `scene.BOTH_WAYS`."""
    return "with a login"


@pytest_asyncio.fixture
async def scene(database: Database, way: str) -> AsyncIterator[Scene]:
    """Yield a project with a workshop; its workers end before its database is dropped."""
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        workshop = await _workshop(database, way, stack)
        yield Scene(chat, workshop, stack)


async def _workshop(database: Database, way: str, stack: AsyncExitStack) -> Workshop:
    if way == "with a login":
        service_url = await create_service_role(database.url("postgres"))
        return stack.enter_context(open_workshop(service_url))
    project = stack.enter_context(open_project(database))
    await is_served(project)
    return stack.enter_context(open_workshop("", **project.environment))
