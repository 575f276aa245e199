"""A seeded project with a worker in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from pydantic import SecretStr

from backend.app.models import open_models
from backend.app.worker import open_worker
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from backend.settings import Settings
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
from tests.support.processes import until

Working: TypeAlias = Callable[..., AbstractAsyncContextManager[None]]


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a fresh project; its connections are closed before its database is dropped."""
    async with AsyncExitStack() as stack:
        made = await open_chat(database, stack)
        await made.configure(backoff_s=0.02, backoff_limit_s=0.05)
        yield made


@pytest_asyncio.fixture
async def service_url(chat: Chat) -> str:
    """Return the service's login."""
    return await create_service_role(chat.database.url("postgres"))


@pytest.fixture
def working(service_url: str) -> Working:
    """Return a context manager in which a worker works; settings by keyword."""

    @asynccontextmanager
    async def work(**settings: Any) -> AsyncIterator[None]:
        fast: dict[str, Any] = {"worker_lease_s": 5.0, "worker_poll_s": 0.1, **settings}
        chosen = Settings(database_url=SecretStr(service_url), **fast)
        async with open_worker(chosen, partial(open_models, chosen, SystemClock())) as worker:
            task = asyncio.create_task(worker.run())
            try:
                yield
            finally:
                worker.stop()
                await task

    return work


async def until_state(chat: Chat, status: str, count: int = 1) -> None:
    """So many runs are in this state."""

    async def holds() -> bool:
        sql = "select count(*) from engine.runs where status = $1"
        return bool(await chat.admin.fetchval(sql, status) >= count)

    await until(holds)


async def until_idle(chat: Chat) -> None:
    """No run is open."""

    async def holds() -> bool:
        sql = "select count(*) from engine.runs where ended_at is null"
        return bool(await chat.admin.fetchval(sql) == 0)

    await until(holds)
