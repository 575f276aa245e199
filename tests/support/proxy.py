"""A network between a worker and its database that a test can stop and let go on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit, urlunsplit

from tests.support.listening import listening
from tests.support.processes import until

_CHUNK_BYTES = 65536


class Network:
    """Passes everything on; while stopped it keeps what clients send, and delivers it late."""

    def __init__(self) -> None:
        self.kept = b""
        self._flows = asyncio.Event()
        self._flows.set()

    def stop(self) -> None:
        """Nothing that a client sends arrives any more."""
        self._flows.clear()

    def go_on(self) -> None:
        """What was kept arrives, also from those who have hung up meanwhile."""
        self._flows.set()

    async def until_kept(self, words: bytes) -> None:
        """A client has said this and was not heard."""

        async def holds() -> bool:
            return words in self.kept

        await until(holds)

    async def carry_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bring what a client sends to the server."""
        while data := await reader.read(_CHUNK_BYTES):
            if not self._flows.is_set():
                self.kept += data
                await self._flows.wait()
            writer.write(data)
            await writer.drain()

    async def carry_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bring what the server answers to the client."""
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def slow_network(url: str) -> AsyncIterator[tuple[str, Network]]:
    """Yield a URL of the same database through a network, and the network."""
    target = urlsplit(url)
    network = Network()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(target.hostname, target.port)
        with closing(up_writer):
            up = _until_closed(network.carry_up(reader, up_writer), up_writer)
            down = _until_closed(network.carry_down(up_reader, writer), writer)
            await asyncio.gather(up, down)

    async with listening(connect) as port:
        login = target.netloc.rpartition("@")[0]
        yield urlunsplit(target._replace(netloc=f"{login}@127.0.0.1:{port}")), network


async def _until_closed(work: Coroutine[None, None, None], writer: asyncio.StreamWriter) -> None:
    """Do the work and close the connection behind it, whoever hung up first."""
    try:
        with suppress(ConnectionError):
            await work
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
