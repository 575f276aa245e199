"""The webhook that a database sends when messages were written: a hint to look for runs."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import SecretStr

from backend.api.bodies import parse_json, read_body
from backend.api.signatures import Signatures
from backend.errors import DependencyFailed, InputInvalid, WebhookNotConfigured

WEBHOOK_ACCEPTED = "webhook.accepted"
_LIMIT_BYTES = 256 * 1024
_BODY_S = 5.0
# pg_net has one worker for all webhooks of a project: whoever answers slowly delays them all.
_WAKE_S = 1.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_log = structlog.get_logger()


def webhook_routes(
    secrets: Sequence[SecretStr],
    wake: Callable[[], Awaitable[None]],
    *,
    body_s: float = _BODY_S,
    wake_s: float = _WAKE_S,
) -> APIRouter:
    """Return `POST /webhooks/messages`, which takes Supabase's webhook signed by Standard Webhooks.

    Args:
        secrets: The current one first, then the previous; without any, every request is refused.
        wake: Tells workers to look for runs; raises only if none could be told.
        body_s: The time that a body may take to arrive.
        wake_s: The time that `wake` may take.

    Raises:
        SettingsInvalid: A secret is not `whsec_` and the base64 of 24 to 64 bytes.
    """
    signatures = Signatures(secrets)
    routes = APIRouter(tags=["webhooks"])

    @routes.post("/webhooks/messages", status_code=202)
    async def messages(request: Request) -> dict[str, str]:
        """Wake the workers. Doubled, late and reordered deliveries do no harm."""
        if not secrets:
            raise WebhookNotConfigured("This service takes no webhooks: it has no WEBHOOK_SECRET.")
        body = await read_body(request, limit_bytes=_LIMIT_BYTES, within_s=body_s)
        signatures.verify(request.headers, body)
        message_id = _message_id(parse_json(body))
        try:
            async with asyncio.timeout(wake_s):
                await wake()
        except TimeoutError:
            raise DependencyFailed("No worker could be told; they also look.") from None
        _log.debug(WEBHOOK_ACCEPTED, message_id=message_id)
        return {"status": "accepted"}

    return routes


def _message_id(payload: Any) -> str:
    if not isinstance(payload, dict):
        raise InputInvalid("The body is not an object.")
    told = tuple(payload.get(name) for name in ("type", "schema", "table"))
    if told != ("INSERT", "public", "messages"):
        raise InputInvalid("The webhook is not about an insert into public.messages.")
    record = payload.get("record")
    found = record.get("id") if isinstance(record, dict) else None
    if not isinstance(found, str) or not _UUID.fullmatch(found):
        raise InputInvalid("record.id is not the id of a message.")
    return found
