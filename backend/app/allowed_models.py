"""Which models a user's assistant may name, and somebody answers for."""

from collections.abc import Sequence

from backend.app.accounts import OFFLINE, accounts
from backend.domain.successors import successors
from backend.ports.gateway import Gateway
from backend.settings import Settings


async def allowed_models(settings: Settings, gateway: Gateway) -> Sequence[str]:
    """Return the entries of the operator's list, those of them that are served here.

    Where this process has no account with any provider, only workers know: then all of them.
    """
    named: Sequence[str] = await gateway.call("engine.list_models", {})
    served = accounts(settings).keys()
    answering = successors(settings.model_aliases)
    prefixes = {model: answering.get(model, model).partition(":")[0] for model in named}
    return [it for it in named if not served or prefixes[it] in {OFFLINE, *served}]
