"""A server of our own in the test's process, for what no mock can do: exact bytes and timing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

Writer: TypeAlias = asyncio.StreamWriter
Answer: TypeAlias = Callable[[Writer], Coroutine[Any, Any, None]]

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
ANSWERED = "gpt-test-2026-11-21"
"""What the model that was asked calls itself: its name and its version."""
_RESPONSE: Mapping[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": ANSWERED,
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "incomplete_details": None,
}
_USAGE: Mapping[str, Any] = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 130,
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event of the Responses API."""
    return {"type": kind, "sequence_number": 0, **fields}


def created() -> dict[str, Any]:
    """Return what every stream begins with."""
    return event("response.created", response={**_RESPONSE, "status": "in_progress"})


def delta(text: Any, *, item: str = "msg_1") -> dict[str, Any]:
    """Return a piece of text."""
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    return event("response.output_text.delta", **place, delta=text, logprobs=[])


def ended(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """Return the final event: `completed`, `incomplete` or `failed`."""
    response = {**_RESPONSE, "status": status, "usage": _USAGE, **fields}
    return event(f"response.{status}", response=response)


def call(arguments: Sequence[Any], *, name: Any = "roll_dice") -> list[dict[str, Any]]:
    """Return the events of a tool call whose arguments come in these pieces."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name}
    pieces = [
        event("response.function_call_arguments.delta", item_id="fc_1", output_index=0, delta=piece)
        for piece in arguments
    ]
    added = event("response.output_item.added", output_index=0, item={**item, "arguments": ""})
    return [added, *pieces]


def frames(*events: Any) -> bytes:
    """Return server-sent events: bytes as they are, all else as JSON."""
    return b"".join(
        it if isinstance(it, bytes) else b"data: " + json.dumps(it).encode() + b"\n\n"
        for it in events
    )


class Canned:
    """Answers each request with what the test gave it, and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        """Bodies, with the headers under `headers` and the address under `path`."""
        self.url = ""
        self.was_left = asyncio.Event()
        """A client closed its connection before the answer was whole."""
        self._answer: Answer = _refuse

    @property
    def base_url(self) -> str:
        """What OpenAI's provider is given."""
        return self.url_of("openai")

    def url_of(self, provider: str) -> str:
        """Return what this provider is given as its address."""
        return f"{self.url}/v1" if provider in ("openai", "compatible") else self.url

    def will_stream(self, *events: Any) -> None:
        """Every stream has these events, and then ends as if nothing were missing."""

        async def answer(writer: Writer) -> None:
            writer.write(STREAM_HEAD + frames(*events))

        self._answer = answer

    def will_send(self, status: int, body: Any, **headers: str) -> None:
        """Every answer is this JSON."""
        content = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Canned", "content-type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(content)}", "connection: close", "", ""]

        async def answer(writer: Writer) -> None:
            writer.write("\r\n".join(lines).encode() + content)

        self._answer = answer

    def will(self, answer: Answer) -> None:
        """Every answer is written by this function; the connection is closed when it returns."""
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Answer one connection's only request."""
        try:
            self.requests.append(await _read(reader))
            answering = asyncio.ensure_future(self._answer(writer))
            leaving = asyncio.ensure_future(reader.read())
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.was_left.set()
                answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        finally:
            writer.close()


@asynccontextmanager
async def canned_server() -> AsyncIterator[Canned]:
    """Yield a server on a free port."""
    canned = Canned()
    server = await asyncio.start_server(canned.serve, "127.0.0.1", 0)
    canned.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield canned


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    return {**body, "path": head[0].split(" ")[1], "headers": headers}


async def _refuse(_writer: Writer) -> None:
    raise AssertionError("The test gave no answer.")
