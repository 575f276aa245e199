"""Questions that may wait, put together."""

import asyncio
import pkgutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import structlog

from backend.governance.batch_bills import BatchBills
from backend.governance.batcher import Batcher, BatchPace
from backend.governance.prices import Prices
from backend.ports.batches import BatchService
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.models import LLMProvider
from backend.runs.drain import end
from backend.runs.loops import repeat
from backend.settings import Settings
from backend.telemetry.names import BATCHES_UNSERVED

if TYPE_CHECKING:
    from backend.integrations.models.hosted import HostedProvider

_log = structlog.get_logger()
# Prefix of the model ids → what speaks of batches with its vendor.
_WIRES: Mapping[str, str] = {
    "anthropic": "backend.integrations.models.anthropic_batches:AnthropicBatches",
    "mistral": "backend.integrations.models.mistral_batches:MistralBatches",
    "openai": "backend.integrations.models.openai_batches:OpenAIBatches",
}


def batch_services(
    settings: Settings, providers: Mapping[str, LLMProvider]
) -> Mapping[str, BatchService]:
    """Return the batches of the providers that the operator names and has an account with.

    The log says which ones are named without one: their key may be another process's.

    Args:
        settings: Of this process.
        providers: By the prefixes of their models, with nothing around them.
    """
    named = dict.fromkeys(settings.model_batches)
    if unserved := [prefix for prefix in named if prefix not in providers]:
        _log.warning(BATCHES_UNSERVED, providers=unserved)
    return {
        prefix: cast("HostedProvider", providers[prefix]).batches(
            pkgutil.resolve_name(_WIRES[prefix])
        )
        for prefix in named
        if prefix in providers
    }


@asynccontextmanager
async def batching(
    settings: Settings,
    services: Mapping[str, BatchService],
    gateway: Gateway,
    prices: Prices,
    clock: Clock,
) -> AsyncIterator[None]:
    """Send batches and land their answers meanwhile; no provider waits for another."""
    bills = BatchBills(services, prices, settings.model_batch_price)
    pace = BatchPace(settings.model_batch_delay_s, settings.model_batch_poll_s)
    batchers = [Batcher(gateway, {it: services[it]}, bills, pace, clock) for it in services]
    tasks = [asyncio.create_task(repeat(it.step, clock, name="batches")) for it in batchers]
    try:
        yield
    finally:
        await end(tasks)
