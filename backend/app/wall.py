"""How a project's wall differs from the one that this release builds."""

import asyncio

from backend.app.connections import open_gateway
from backend.domain.checks import Check, any_failed
from backend.integrations.supabase.checks import check_schema
from backend.integrations.supabase.diagnosis import diagnose
from backend.integrations.supabase.wall import check_wall
from backend.ports.clock import SystemClock
from backend.settings import Settings

_TIMEOUT_S = 10.0


def examine(settings: Settings) -> list[Check]:
    """Return each policy, grant, function, trigger and constraint that drifted, and where its truth is.

    Args:
        settings: With any way to the database: a login, the owner's too, or the secret key.
    """
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> list[Check]:
    async with open_gateway(
        settings, SystemClock(), "assistants-doctor", size=1, timeout_s=_TIMEOUT_S
    ) as gateway:
        answers, said = await diagnose(gateway, settings.supabase_url)
        found = [answers, *([check_schema(said)] if said else [])]
        if said is None or any_failed(found):
            return found
        return [*found, *await check_wall(gateway, said.token_issuer)]
