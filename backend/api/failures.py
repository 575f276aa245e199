"""The last net: what nobody expected becomes a 500 that says nothing, and a line in the log."""

import asyncio

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import refusal
from backend.telemetry.defects import describe
from backend.telemetry.names import REQUEST_BROKE

_log = structlog.get_logger()


class Failures:
    """Stands inside of CORS, so that a browser may read the 500 as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens; an answer that has begun breaks off, for all to see."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            # Requests are cancelled only where the process ends and its patience has run out.
            if not begun:
                await refusal(503, {"retry-after": "1"})(scope, receive, send)
            raise
        except Exception as error:
            _log.error(REQUEST_BROKE, **describe(error))
            if begun:
                raise
            await refusal(500)(scope, receive, send)
