"""The service with routes of a test's own, asked in memory or over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

from backend.api.application import ServiceParts, create_app
from backend.api.health import Readiness
from backend.api.listener import bind
from backend.api.server import Server, ServerLimits

READY = Readiness(database=True, schema=True, worker=True)
ORIGIN = "https://chat.example"


async def always_ready() -> Readiness:
    """Return that nothing is missing."""
    return READY


def service(*routers: APIRouter, **parts: Any) -> FastAPI:
    """Return the application with these routes; other parts by name."""
    return create_app(
        ServiceParts(
            **{"probe": always_ready, "allowed_origins": [ORIGIN], "routers": routers, **parts}
        )
    )


def raising(error: BaseException, path: str = "/broken") -> APIRouter:
    """Return a route that raises this."""
    routes = APIRouter()

    @routes.get(path)
    async def broken() -> None:
        raise error

    return routes


def asking(app: FastAPI) -> httpx.AsyncClient:
    """Return a client of the application in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


@dataclass
class Gate:
    """Where a route waits, so that a test can do something meanwhile."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_through(self) -> None:
        """Wait until the test opens the gate."""
        self.reached.set()
        await self.opened.wait()


@dataclass(frozen=True)
class Running:
    """A service on a port of this machine."""

    server: Server
    port: int
    ended: "asyncio.Task[None]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        """Return a client that speaks to it over a socket."""
        return httpx.AsyncClient(base_url=self.url, timeout=20)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return both directions of a plain connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, sent: bytes) -> bytes:
        """Return all that comes until the service closes the connection."""
        reader, writer = await self.connect()
        writer.write(sent)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def running(
    app: Any,
    limits: ServerLimits | None = None,
    *,
    on_stop: Callable[[], None] = lambda: None,
    stalled_s: float = 30,
) -> AsyncIterator[Running]:
    """Yield the application behind a real socket; nothing of it is left afterwards."""
    listener = bind("127.0.0.1", 0, stalled_s=stalled_s)
    server = Server(app, on_stop=on_stop, limits=limits)
    port = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield Running(server, port, serving)
    finally:
        server.stop()
        server.stop()
        await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()
