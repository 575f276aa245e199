"""`python -m bench.vendor <provider> <words>`: a server that answers every question at once, alike."""

import asyncio
import sys

from tests.models.canned import frames
from tests.models.dialects import DIALECTS, whole


async def main(provider: str, words: int) -> None:
    """Serve until standard input ends; the address is the first line of standard output."""
    dialect = DIALECTS[provider]
    body = frames(*whole(dialect, dialect.say(*["word "] * words)))
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    answer = head.encode() + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await _head_of(reader):
            await reader.readexactly(_length(asked))
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
