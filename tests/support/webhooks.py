"""A service that takes webhooks, and an honest sender."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from standardwebhooks import Webhook

from backend.api.webhooks import webhook_routes
from backend.errors import AssistantsError
from tests.support.processes import until

PATH = "/webhooks/messages"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PREVIOUS = "whsec_" + base64.b64encode(bytes(range(24))).decode()
STRANGER = "whsec_" + base64.b64encode(bytes(64)).decode()
MESSAGE = "0f5c4c1e-9d2b-4d4f-8a57-3d3f8d3a5b11"
PAYLOAD = {
    "type": "INSERT",
    "table": "messages",
    "schema": "public",
    "record": {"id": MESSAGE, "session_id": MESSAGE},
    "old_record": None,
}


class Service:
    """The application, and how often its workers were woken."""

    def __init__(
        self,
        *secrets: str,
        wake: Callable[[], Awaitable[None]] | None = None,
        **times: float,
    ) -> None:
        self.woken = 0
        self._tell = wake
        self.app = FastAPI()
        keys = [SecretStr(secret) for secret in secrets]
        self.app.include_router(webhook_routes(keys, self._wake, **times))
        self.app.add_exception_handler(AssistantsError, _refuse)

    async def post(
        self,
        body: Any,
        headers: dict[str, str] | Sequence[tuple[str, str]] | Sequence[tuple[bytes, bytes]],
        *,
        method: str = "POST",
    ) -> httpx.Response:
        """Return the answer; `body` is bytes, or something that yields them."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, PATH, content=body, headers=headers)

    async def _wake(self) -> None:
        if self._tell is not None:
            await self._tell()
        self.woken += 1


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AssistantsError)
    shown = {"code": error.code, "message": str(error)}
    return JSONResponse({"error": shown}, error.http_status)


def body_of(payload: Any = PAYLOAD) -> bytes:
    return json.dumps(payload).encode()


def signed(
    body: bytes, *, secret: str = SECRET, identity: str = "msg_1", age_s: float = 0
) -> dict[str, str]:
    """Return the headers of an honest sender."""
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, at, body.decode()),
    }


async def refused(service: Service, body: Any, headers: Any, *, status: int, code: str) -> str:
    """The service answers so and wakes nobody; return what it says."""
    answer = await service.post(body, headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert service.woken == 0
    return str(answer.json()["error"]["message"])


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Yield the address of a real server that serves the application meanwhile."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)

    async def is_up() -> bool:
        return server.started

    task = asyncio.create_task(server.serve())
    try:
        await until(is_up)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task
