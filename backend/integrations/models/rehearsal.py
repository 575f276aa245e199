"""One answer that nobody asked for, so that the first real one holds nothing up."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from backend.domain.assistants import FunctionTool
from backend.domain.messages import Message, Text
from backend.integrations.models.openai import OpenAIProvider
from backend.ports.models import ModelRequest

_RESPONSE: dict[str, Any] = {
    "id": "resp_0",
    "object": "response",
    "created_at": 0,
    "model": "rehearsal",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
_USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
_ITEM = {"type": "function_call", "id": "fc_0", "call_id": "call_0", "name": "f", "arguments": ""}
_PLACE = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
_REQUEST = ModelRequest(
    "rehearsal", [Message("user", (Text("-"),))], tools=[FunctionTool("f", "", {"type": "object"})]
)


def rehearse() -> None:
    """The libraries have built what they build at a first answer; this takes half a second.

    Otherwise a worker's first answer would keep its event loop for about as long, and on a busy
    machine long enough for the leases of all its runs to end.
    """
    # A loop may be running in this thread already.
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: asyncio.run(_answer())).result()


async def _answer() -> None:
    transport = httpx2.MockTransport(_play)
    provider = OpenAIProvider("-", pool=httpx2.AsyncClient(transport=transport))
    await provider.generate(_REQUEST)
    await provider.aclose()


def _play(_request: httpx2.Request) -> httpx2.Response:
    content = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in _events())
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)


def _events() -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress"}}
    yield {"type": "response.output_text.delta", **_PLACE, "delta": "-"}
    yield {"type": "response.output_item.added", "output_index": 1, "item": _ITEM}
    yield {"type": "response.function_call_arguments.delta", "item_id": "fc_0", "delta": "{}"}
    whole = {**_RESPONSE, "status": "completed", "usage": _USAGE}
    yield {"type": "response.completed", "response": whole}
