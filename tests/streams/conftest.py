"""A seeded project with real workers and services, and somebody who reads."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.data_api import is_served, open_project
from tests.support.identities import ADA, Identity
from tests.support.processes import Workshop, open_workshop
from tests.support.service import ServiceProcess, Services, SignIn, open_sign_in
from tests.support.stream_reader import StreamReader

T = TypeVar("T")


class StreamScene(Scene):
    """A project, its workers, its services and their readers."""

    sign_in: SignIn
    services: Services

    async def reader(
        self, service: ServiceProcess, session: UUID | str, who: Identity = ADA
    ) -> StreamReader:
        """Return a reader of the session at this service."""
        client = await self._stack.enter_async_context(service.client())
        return StreamReader(client, session, self.sign_in.tokens(who))

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Return a task that ends with the test."""
        task = asyncio.create_task(work)
        self._stack.callback(task.cancel)
        return task

    async def texts(self, session: UUID | str) -> dict[str, str]:
        """Return what is stored of each run: its outcome's words."""
        rows = await self.admin.fetch(
            "select run_id::text as run, coalesce((select string_agg(p ->> 'text', '' order by no)"
            " from jsonb_array_elements(content) with ordinality as c (p, no)"
            " where p ->> 'type' = 'text'), '') as words from public.messages"
            " where session_id = $1 and run_id is not null and ordinal is null",
            UUID(str(session)),
        )
        return {row["run"]: row["words"] for row in rows}


async def open_stream_scene(
    database: Database, stack: AsyncExitStack, workshop: Workshop
) -> StreamScene:
    """Return the scene with an issuer of tokens and no process yet."""
    chat = await open_chat(database, stack)
    await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
    made = StreamScene(chat, workshop, stack)
    made.sign_in = stack.enter_context(open_sign_in())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="supa-services-")))
    made.services = Services(workshop, made.sign_in, folder)
    stack.callback(made.services.close)
    return made


@pytest.fixture
def way() -> str:
    """Return how processes reach the database; tests name other ways by `scene.BOTH_WAYS`."""
    return "with a login"


@pytest_asyncio.fixture
async def scene(database: Database, way: str) -> AsyncIterator[StreamScene]:
    """Yield the scene; its processes end before its database is dropped."""
    async with AsyncExitStack() as stack:
        if way == "with a login":
            service_url = await create_service_role(database.url("postgres"))
            workshop = stack.enter_context(open_workshop(service_url))
            yield await open_stream_scene(database, stack, workshop)
        else:
            project = stack.enter_context(open_project(database))
            await is_served(project)
            workshop = stack.enter_context(open_workshop("", **project.environment))
            made = await open_stream_scene(database, stack, workshop)
            # The Data API trusts this one.
            made.sign_in = project.sign_in
            yield made
