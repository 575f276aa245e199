"""The image, made once for all tests of a process, and a project with containers that run it."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from backend.devkit import ports
from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.images.container import Container
from tests.images.image import Image, build
from tests.images.jail import require_jail
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.identities import ADA
from tests.support.processes import open_workshop
from tests.support.service import ORIGIN, SignIn, open_sign_in
from tests.support.stream_reader import StreamReader


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Yield what the Dockerfile makes."""
    require_jail()
    folder = Path(tempfile.mkdtemp(prefix="supa-image-", dir="/tmp"))
    try:
        yield build(folder)
    finally:
        shutil.rmtree(folder)


class Ship(Scene):
    """A project whose service and workers run in containers of the image."""

    image: Image
    sign_in: SignIn
    containers: ExitStack

    def start(self, *command: str, **given: str) -> Container:
        """Return a container that is starting; given are environment variables."""
        given = {"DATABASE_URL": self.workshop.database_url, **given}
        return self.containers.enter_context(Container(self.image, command, given))

    async def serve(self, port: str) -> Container:
        """Return the service, which answers on this port."""
        given = {"CLERK_ISSUER": self.sign_in.url, "ALLOWED_ORIGINS": ORIGIN, "API_PORT": port}
        return await self.start("serve", **given).ready()

    async def reader(self, port: str, session: UUID) -> StreamReader:
        """Return Ada at the service that listens on this port."""
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30)
        await self._stack.enter_async_context(client)
        return StreamReader(client, session, self.sign_in.tokens(ADA))


def free_port() -> str:
    """Return a port that nobody uses."""
    return str(ports.choose(None))


def let_an_hour_pass(file: Path) -> None:
    """Nobody has touched the file for an hour, for whoever looks at it."""
    os.utime(file, (0, file.stat().st_mtime - 3600))


@pytest_asyncio.fixture
async def ship(database: Database, image: Image) -> AsyncIterator[Ship]:
    """Yield the project; its containers end before its database is dropped."""
    service_url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        workshop = stack.enter_context(open_workshop(service_url))
        made = Ship(await open_chat(database, stack), workshop, stack)
        made.image = image
        made.sign_in = stack.enter_context(open_sign_in())
        made.containers = stack.enter_context(ExitStack())
        yield made
