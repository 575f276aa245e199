"""Who serves which model."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import structlog

from backend.app.accounts import HOSTED, OFFLINE, accounts, open_provider, variable_of
from backend.devkit.offline_model import OfflineModel
from backend.domain.successors import successors
from backend.errors import ModelNotFound
from backend.governance.breaker import Breaker, BreakerLimits
from backend.governance.fallbacks import Fallbacks
from backend.governance.guarded import Guarded
from backend.governance.retried import Retried, RetryLimits
from backend.governance.timed import CallPatience, Timed
from backend.governance.turns import Turns
from backend.model_settings import COMPATIBLE
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.limits import RateLimits
from backend.ports.models import LLMProvider, ServedModel
from backend.settings import Settings
from backend.telemetry.names import MODEL_NOT_SERVED, MODEL_REPLACED

_log = structlog.get_logger()


class PrefixCatalogue:
    """Finds the provider by what stands before the colon of a model id."""

    def __init__(
        self, providers: Mapping[str, LLMProvider], replaced: Mapping[str, str] | None = None
    ) -> None:
        """Ready.

        Args:
            providers: By prefix.
            replaced: Which model answers in place of which.
        """
        self._providers = providers
        self._replaced = replaced or {}
        self._told: set[str] = set()

    def find(self, model: str) -> ServedModel:
        """Return who serves the model, or its successor.

        Raises:
            ModelNotFound: No provider has this prefix; the message says what to do.
        """
        found = self._replaced.get(model, model)
        if found != model and model not in self._told:
            self._told.add(model)
            _log.info(MODEL_REPLACED, model=model, successor=found)
        prefix, _, name = found.partition(":")
        if prefix not in self._providers or not name:
            said = self._advice(found)
            _log.warning(MODEL_NOT_SERVED, model=model, said=said)
            raise ModelNotFound(said)
        return ServedModel(found, name, self._providers[prefix])

    def _advice(self, model: str) -> str:
        prefix, colon, _ = model.partition(":")
        if not colon:
            known = {it.partition(":")[2]: it for it in self._replaced.values()}
            near = [known[name] for name in get_close_matches(model, known)]
            return f"{model!r} is no model id, which is provider:name.{_near(near)}"
        if prefix in self._providers:
            return f"{model!r} names its provider alone."
        if variable := variable_of(prefix):
            return f"No provider serves {prefix!r} here: set {variable}."
        near = get_close_matches(prefix, {*self._providers, *HOSTED, COMPATIBLE})
        return f"No provider is called {prefix!r}.{_near(near)}"


def models(settings: Settings, clock: Clock, gateway: Gateway | None = None) -> LLMProvider:
    """Return all models behind one provider, by their whole ids.

    Args:
        settings: Of this process.
        clock: For waits.
        gateway: The way to the limits that all workers share.

    Raises:
        SettingsInvalid: A provider's keys cannot be had, or a server has another provider's name.
    """
    return Fallbacks(catalogue(settings, clock, Turns(settings.model_limits, gateway, clock)))


def resilient(prefix: str, provider: LLMProvider, settings: Settings, clock: Clock) -> LLMProvider:
    """Return the provider with its limits of time, behind its breaker, asked again in moderation."""
    timed = Timed(provider, CallPatience(settings.model_first_s, settings.model_call_s))
    limits = BreakerLimits(settings.model_failures, settings.model_rest_s)
    guarded = Guarded(timed, Breaker(prefix, clock, limits))
    return Retried(guarded, clock, RetryLimits(total_s=settings.model_retry_s))


def catalogue(
    settings: Settings, clock: Clock, limits: RateLimits | None = None
) -> PrefixCatalogue:
    """Return who serves which model.

    Raises:
        SettingsInvalid: A provider's keys cannot be had, or a server has another provider's name.
    """
    providers: dict[str, LLMProvider] = {
        OFFLINE: OfflineModel(clock, trials=settings.offline_trials)
    }
    for prefix, account in accounts(settings).items():
        hosted = open_provider(
            prefix,
            account,
            clock,
            connect_s=settings.model_connect_s,
            silence_s=settings.model_silence_s,
            limits=limits,
        )
        providers[prefix] = resilient(prefix, hosted, settings, clock)
    return PrefixCatalogue(providers, successors(settings.model_aliases))


def _near(found: Iterable[str]) -> str:
    return f" Near: {', '.join(found)}." if found else ""
