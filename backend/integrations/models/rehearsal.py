"""One answer that nobody asked for, so that the first real one holds nothing up."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import JsonObject
from backend.domain.messages import Message, Text
from backend.integrations.models.hosted import HostedProvider
from backend.integrations.models.keys import FixedKeys, KeyRing
from backend.integrations.models.vendors import Vendor
from backend.ports.clock import SystemClock
from backend.ports.models import ModelRequest

_REQUEST = ModelRequest(
    "rehearsal", [Message("user", (Text("-"),))], tools=[FunctionTool("f", "", {"type": "object"})]
)


def rehearse(vendor: Callable[[httpx2.AsyncClient], Vendor]) -> None:
    """The libraries have built what they build at a first answer; this takes half a second.

    Otherwise a worker's first answer would keep its event loop for about as long, and on a busy
    machine long enough for the leases of all its runs to end.
    """
    # A loop may be running in this thread already.
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: asyncio.run(_answer(vendor))).result()


async def _answer(open_vendor: Callable[[httpx2.AsyncClient], Vendor]) -> None:
    def play(_request: httpx2.Request) -> httpx2.Response:
        content = b"".join(map(_frame, vendor.rehearsal))
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    pool = httpx2.AsyncClient(transport=httpx2.MockTransport(play))
    vendor = open_vendor(pool)
    keys = KeyRing(FixedKeys(["-"]), SystemClock())
    provider = HostedProvider("rehearsal", vendor, keys, pool)
    await provider.generate(_REQUEST)
    await provider.aclose()


def _frame(event: JsonObject) -> bytes:
    kind = f"event: {event['type']}\n" if "type" in event else ""
    return f"{kind}data: {json.dumps(event)}\n\n".encode()
