"""Readers of streams that cost little themselves: plain sockets, no chunks, no headers kept."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

_ENDINGS = ("run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired")


class Reader:
    """One open stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def event(self) -> dict[str, Any]:
        """Return the next event."""
        while True:
            line = await self._reader.readline()
            if not line:
                raise ConnectionResetError("The service hung up.")
            if line.startswith(b"data: "):
                found: dict[str, Any] = json.loads(line[6:])
                return found

    async def delays_ms(self, runs: int = 1) -> list[float]:
        """Return how long each moment that the model said took to come here, to the runs' end."""
        delays: list[float] = []
        while runs:
            event = await self.event()
            now = time.monotonic_ns()
            if event["type"] == "message.delta":
                said = event["text"].split(";")[:-1]
                delays += [(now - int(moment)) / 1e6 for moment in said]
            runs -= event["type"] in _ENDINGS
        return delays

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def reading(url: str, sessions: Sequence[Any], token: str) -> AsyncIterator[list[Reader]]:
    """Yield an open stream for each session."""
    readers: list[Reader] = []
    try:
        for first in range(0, len(sessions), 50):
            opened = (_open(url, session, token) for session in sessions[first : first + 50])
            readers += await asyncio.gather(*opened)
        yield readers
    finally:
        for reader in readers:
            reader.close()


async def _open(url: str, session: Any, token: str) -> Reader:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**22)
    # HTTP/1.0 has no chunks: every line is one of the stream.
    request = f"GET /sessions/{session}/events HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(status.decode())
    made = Reader(reader, writer)
    await made.event()
    return made
