"""All models of a test behind one provider, with what stands between a run and its models."""

from typing import Any

from backend.app.catalogue import PrefixCatalogue
from backend.app.models import resilient
from backend.governance.fallbacks import Fallbacks
from backend.governance.metered import Billing
from backend.ports.clock import Clock
from backend.ports.models import LLMProvider, ModelRequest
from backend.settings import Settings
from tests.models.accounts import Accounts
from tests.models.asking import ask
from tests.models.servers import Control

ONE, OTHER = "openai:gpt-one", "mistral:other"


def together(
    accounts: Accounts,
    server: Control,
    clock: Clock,
    *names: str,
    billing: Billing | None = None,
    **settings: Any,
) -> LLMProvider:
    """Return these providers, all at one server."""
    told = Settings.model_construct(**settings)
    providers = {
        name: resilient(name, accounts.at(server.url_of(name), name), told, clock, billing)
        for name in names or ("openai", "mistral")
    }
    return Fallbacks(PrefixCatalogue(providers))


def request(model: str = ONE, *fallbacks: str, **options: Any) -> ModelRequest:
    """Return a question to a model, and to others where that one fails."""
    return ask("How tall is the Brocken?", model=model, fallback_models=fallbacks, **options)
