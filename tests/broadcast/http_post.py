"""A server that takes posts, remembers them, and answers as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Post:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def messages(self) -> list[Any]:
        """Return what is to be broadcast."""
        return list(json.loads(self.body)["messages"])


class PostOffice:
    """Answers 202 until it is told otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[Post] = []
        self.answers: list[tuple[int, str]] = []
        self.is_dumb = False
        """Whether it takes requests and says nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._take(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(one.split(": ", 1) for one in lines if one)
        headers = {name.lower(): text for name, text in fields.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        self.posts.append(Post(line, headers, body))
        if self.is_dumb:
            await asyncio.Event().wait()
        status, more = self.answers.pop(0) if self.answers else (202, "")
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n{more}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    """Yield a server that answers."""
    office = PostOffice()
    server = await asyncio.start_server(office.serve, "127.0.0.1", 0)
    office.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield office
    finally:
        server.close()
