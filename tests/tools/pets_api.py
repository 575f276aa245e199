"""The API of the document, at a test's own server, and its operations as tools."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest_asyncio

from backend.integrations.openapi.operations import Api
from backend.integrations.openapi.source import ApiTools
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.reach import reach_of
from backend.ports.tools import ServerTool
from tests.support.manual_clock import ManualClock
from tests.tools.pets import PETS
from tests.tools.web_server import WebServer


@pytest_asyncio.fixture
async def http(server: WebServer) -> AsyncIterator[GuardedHttp]:
    """Yield a client that may ask the server of this test."""
    entry = f"127.0.0.1:{server.port}"
    async with GuardedHttp(reach_of([entry], [entry])) as made:
        yield made


def api(http: GuardedHttp, server: WebServer, **more: Any) -> Api:
    secrets = {"headers": lambda: {"X-Key": "k", "Authorization": "Bearer b"}}
    keys = {"query": lambda: {"api_key": "q"}}
    return Api("pets", http, **{"base_url": f"{server.url}/v2", **secrets, **keys, **more})


async def tools(
    http: GuardedHttp, server: WebServer, folder: Path, document: bytes = b"", **more: Any
) -> Mapping[str, ServerTool]:
    file = folder / "pets.json"
    file.write_bytes(document or json.dumps(PETS).encode())
    return await ApiTools(api(http, server, **more), file, ManualClock()).tools()
