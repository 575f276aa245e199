"""A project whose assistants may wait, and mocks of providers that have batches."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.batches.scene import BatchScene
from tests.models.servers import Scripted, Unreliable, scripted_server, unreliable_server
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.processes import open_workshop


@pytest.fixture(scope="session")
def unreliable() -> Iterator[Unreliable]:
    """Yield an llmock."""
    with unreliable_server() as server:
        yield server


@pytest.fixture(scope="session")
def scripted() -> Iterator[Scripted]:
    """Yield an aimock, which answers directly, too."""
    with scripted_server() as server:
        server.will_answer("Brocken", "1,141 metres.")
        yield server


@pytest.fixture
def way() -> str:
    """Return how workers reach the database."""
    return "with a login"


@pytest_asyncio.fixture
async def scene(
    database: Database, way: str, unreliable: Unreliable, scripted: Scripted
) -> AsyncIterator[BatchScene]:
    """Yield a project with a workshop; its workers end before its database is dropped."""
    mocks: dict[str, Any] = {"openai": scripted, "anthropic": unreliable, "mistral": unreliable}
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        if way == "with a login":
            service_url = await create_service_role(database.url("postgres"))
            workshop = stack.enter_context(open_workshop(service_url))
        else:
            project = stack.enter_context(open_project(database))
            await is_served(project)
            workshop = stack.enter_context(open_workshop("", **project.environment))
        made = BatchScene(chat, workshop, stack)
        await made.open(mocks)
        yield made
