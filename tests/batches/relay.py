"""A server between a worker and a mock of a provider, at which a test stops, hears and changes things."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import httpx2

from tests.support.listening import listening

Change: TypeAlias = Callable[[str, str, int, bytes], tuple[int, bytes]]
"""Method, path, status and body of an answer into another status and body."""
_OWN = frozenset({"host", "content-length", "connection", "accept-encoding"})


class Relay:
    """Passes requests on to one server."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.seen: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.bodies: list[tuple[str, bytes]] = []
        """Path and body of each POST."""
        self.reached = asyncio.Event()
        """Somebody stands before the gate."""
        self.changes: list[Change] = []
        self._held: tuple[str, str, str] | None = None
        self._open = asyncio.Event()

    def hold(self, when: str, method: str, path: str) -> None:
        """Nobody gets past these requests: `before` the server hears them, or `after` it has answered."""
        self._held = (when, method, path)
        self.reached, self._open = asyncio.Event(), asyncio.Event()

    def hold_any(self, method: str) -> None:
        """Nobody gets past with this method, before the server hears them."""
        self.hold("before", method, "")

    def let_go(self) -> None:
        """All that come from now on get past; who stands there is sent away."""
        self._held = None
        self._open.set()

    def count(self, method: str, path: str) -> int:
        """Return how often this was asked and passed on."""
        return sum(it == (method, path) for it in self.seen)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection's only request on."""
        with suppress(asyncio.IncompleteReadError):
            head, content = await _read(reader)
            method, path, _ = head[0].split(" ", 2)
            bare = path.partition("?")[0]
            await self._gate("before", method, bare)
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            sent = {name: it for name, it in headers.items() if name.lower() not in _OWN}
            url = f"{self.target}{path}"
            async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
                answer = await client.request(method, url, headers=sent, content=content)
            self.seen.append((method, bare))
            if method == "POST":
                self.bodies.append((bare, content))
            await self._gate("after", method, bare)
            status, body = answer.status_code, answer.content
            for change in self.changes:
                status, body = change(method, bare, status, body)
            kind = answer.headers.get("content-type", "application/json")
            lines = (f"HTTP/1.1 {status} Relayed", f"content-type: {kind}")
            rest = (f"content-length: {len(body)}", "connection: close", "", "")
            writer.write("\r\n".join((*lines, *rest)).encode() + body)
            await writer.drain()

    async def _gate(self, when: str, method: str, path: str) -> None:
        if self._held in ((when, method, path), (when, method, "")):
            self.reached.set()
            await self._open.wait()
            raise ConnectionError


@asynccontextmanager
async def relay_to(target: str) -> AsyncIterator[Relay]:
    """Yield a relay on a free port."""
    relay = Relay(target)
    async with listening(relay.serve) as port:
        relay.url = f"http://127.0.0.1:{port}"
        yield relay


def each_line(path_end: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Return a change of each line of the answers at addresses that end so."""

    def changed(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method != "GET" or not path.endswith(path_end):
            return status, body
        lines = [change(json.loads(line)) for line in body.decode().splitlines() if line]
        return status, "\n".join(map(json.dumps, lines)).encode()

    return changed


async def _read(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    sizes = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")]
    return head, await reader.readexactly(int(sizes[0])) if sizes else b""
