"""An issuer whose answers a test chooses, over real HTTP on a port of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_GIVE_UP_S = 10


class KeyServer:
    """Counts what it is asked; each question waits until `open` is set."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self._arrived = asyncio.Condition()
        self._answer: tuple[bytes, ...] = ()

    def publish(self, *keys: dict[str, Any]) -> None:
        """The key set is this one from now on."""
        self.answer(json.dumps({"keys": keys}).encode())

    def answer(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        """Every question is answered so from now on."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}"
        self._answer = (f"{head}Connection: close\r\n\r\n".encode(), body)

    def hang_up(self) -> None:
        """Every question is answered by the end of the connection from now on."""
        self._answer = ()

    async def was_asked(self, times: int) -> None:
        """So many questions have arrived in all."""
        async with asyncio.timeout(_GIVE_UP_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.asked) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = await reader.readuntil(b"\r\n\r\n")
            async with self._arrived:
                self.asked.append(question)
                self._arrived.notify_all()
            await self.open.wait()
            writer.write(b"".join(self._answer))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def key_server(*keys: dict[str, Any]) -> AsyncIterator[KeyServer]:
    """Yield an issuer that publishes these keys."""
    issuer = KeyServer()
    issuer.publish(*keys)
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    async with server:
        issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield issuer
        issuer.open.set()
