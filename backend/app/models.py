"""All models behind one provider: each layer is a provider around the next.

From the outside: answers that came in a batch, budgets, caches, fallbacks; then for each vendor its
batches, retries, the breaker, the bill, the patience, and the turns at the vendor's own limits.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from backend.app.accounts import OFFLINE, accounts, check_names, open_provider
from backend.app.batches import batch_services, batching
from backend.app.catalogue import PrefixCatalogue
from backend.devkit.offline_model import OfflineModel
from backend.domain.successors import successors
from backend.governance.batched import Batched, Landed
from backend.governance.breaker import Breaker, BreakerLimits
from backend.governance.budgeted import Budgeted
from backend.governance.cached import Cached
from backend.governance.caches import DatabaseCaches
from backend.governance.fallbacks import Fallbacks
from backend.governance.guarded import Guarded
from backend.governance.ledger import DatabaseLedger
from backend.governance.metered import Billing, Metered
from backend.governance.prices import ListedPrices
from backend.governance.retried import Retried, RetryLimits
from backend.governance.timed import CallPatience, Timed
from backend.governance.turns import Turns
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.limits import RateLimits
from backend.ports.models import LLMProvider
from backend.settings import Settings
from backend.telemetry.names import CALLS_UNRECORDED

_DRAIN_S = 5.0
_log = structlog.get_logger()


@asynccontextmanager
async def open_models(
    settings: Settings, clock: Clock, gateway: Gateway
) -> AsyncIterator[LLMProvider]:
    """Yield all models, by their whole ids; afterwards what they cost is recorded.

    Raises:
        SettingsInvalid: A provider's keys cannot be had, a server has another provider's name, a
            limit is nobody's, or an alias leads nowhere.
    """
    check_names(settings)
    ledger, prices = DatabaseLedger(gateway, clock), ListedPrices(settings.compatible_base_url)
    limits = Turns(settings.model_limits, gateway, clock)
    billing = Billing(ledger, prices, clock)
    asked = _providers(settings, clock, limits, gateway)
    services = batch_services(settings, asked)
    direct = _governed(settings, clock, asked, billing)
    waiting = {
        prefix: Batched(direct[prefix], prefix, it, gateway) for prefix, it in services.items()
    }
    served = _catalogue(settings, {**direct, **waiting})
    cached = Cached(Fallbacks(served), DatabaseCaches(gateway), ledger, clock)
    budgeted = Budgeted(cached, gateway, prices, clock)
    try:
        async with batching(settings, services, gateway, prices, clock):
            yield Landed(budgeted, services, gateway) if services else budgeted
    finally:
        if lost := await ledger.drain(_DRAIN_S):
            _log.error(CALLS_UNRECORDED, calls=lost)


def catalogue(settings: Settings, clock: Clock) -> PrefixCatalogue:
    """Return who serves which model, without limits and bills.

    Raises:
        SettingsInvalid: A provider's keys cannot be had, or a server has another provider's name.
    """
    governed = _governed(settings, clock, _providers(settings, clock))
    return _catalogue(settings, governed)


def _catalogue(settings: Settings, providers: Mapping[str, LLMProvider]) -> PrefixCatalogue:
    replaced = successors(settings.model_aliases)
    return PrefixCatalogue(providers, replaced, {OFFLINE: OfflineModel.names})


def _providers(
    settings: Settings,
    clock: Clock,
    limits: RateLimits | None = None,
    gateway: Gateway | None = None,
) -> Mapping[str, LLMProvider]:
    hosted = {
        prefix: open_provider(
            prefix,
            account,
            clock,
            connect_s=settings.model_connect_s,
            silence_s=settings.model_silence_s,
            limits=limits,
        )
        for prefix, account in accounts(settings, gateway).items()
    }
    return {OFFLINE: OfflineModel(clock, trials=settings.offline_trials), **hosted}


def _governed(
    settings: Settings,
    clock: Clock,
    providers: Mapping[str, LLMProvider],
    billing: Billing | None = None,
) -> Mapping[str, LLMProvider]:
    return {
        prefix: _metered(prefix, it, billing)
        if prefix == OFFLINE
        else resilient(prefix, it, settings, clock, billing)
        for prefix, it in providers.items()
    }


def resilient(
    prefix: str,
    provider: LLMProvider,
    settings: Settings,
    clock: Clock,
    billing: Billing | None = None,
) -> LLMProvider:
    """Return the provider with its limits of time, behind its breaker, asked again in moderation."""
    timed = Timed(provider, CallPatience(settings.model_first_s, settings.model_call_s))
    limits = BreakerLimits(settings.model_failures, settings.model_rest_s)
    guarded = Guarded(_metered(prefix, timed, billing), Breaker(prefix, clock, limits))
    return Retried(guarded, clock, RetryLimits(total_s=settings.model_retry_s))


def _metered(prefix: str, provider: LLMProvider, billing: Billing | None) -> LLMProvider:
    return Metered(provider, prefix, billing) if billing else provider
