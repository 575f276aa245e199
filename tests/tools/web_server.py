"""A web server whose answers a test chooses, over real HTTP on a port of its own."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request, as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def response(answer: Any, status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer as it goes over the wire."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    told = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    told |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n".encode() + body


class WebServer:
    """Answers by path what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.asked: list[Asked] = []
        self.connections = 0
        self._answers: dict[str, bytes | None] = {}
        self._acts: dict[str, Callable[[Asked], bytes | None]] = {}
        self._writers: list[asyncio.StreamWriter] = []

    def will(self, path: str, answer: Any, status: str = "200 OK", **headers: str) -> None:
        """Requests for the path are answered so: bytes as they are, anything else as JSON."""
        self.will_send(path, response(answer, status, **headers))

    def will_send(self, path: str, answer: bytes) -> None:
        """Requests for the path are answered by these bytes, and the connection ends."""
        self._answers[path] = answer

    def will_do(self, path: str, act: Callable[[Asked], bytes | None]) -> None:
        """Requests for the path are answered by what this returns; none hangs."""
        self._acts[path] = act

    def will_hang(self, path: str) -> None:
        """Requests for the path are never answered."""
        self._answers[path] = None

    def will_redirect(self, path: str, to: str, status: int = 302) -> None:
        """Requests for the path lead elsewhere."""
        self.will(path, b"", f"{status} Elsewhere", location=to)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            asked = await _read(reader)
            self.asked.append(asked)
            answer = self._answers.get(asked.path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            if act := self._acts.get(asked.path):
                answer = act(asked)
            if answer is None:
                await reader.read()
                return
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (it.partition(":") for it in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = line.split(" ", 2)
    return Asked(method, target, headers, body)


@asynccontextmanager
async def web_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[WebServer]:
    """Yield a server that knows no path yet."""
    made = WebServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        made.url = f"{'https' if tls else 'http'}://127.0.0.1:{made.port}"
        try:
            yield made
        finally:
            made.close()
