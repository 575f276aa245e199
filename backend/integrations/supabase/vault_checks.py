"""Whether the keys of models' providers that should be in Vault are there."""

from collections.abc import Sequence

from backend.domain.checks import Check, fails, holds
from backend.errors import AssistantsError
from backend.ports.gateway import Gateway

_CREATE = (
    "As the owner: `select vault.create_secret('<key>', '{name}');`, or set {variable} instead."
)
_GRANT = "As the owner of Vault: `grant select on vault.decrypted_secrets to <that role>;`."
_ENABLE = "Enable the extension supabase_vault, or take {provider} out of MODEL_KEYS_IN_VAULT."


async def check_model_keys(gateway: Gateway, providers: Sequence[str]) -> list[Check]:
    """Return a finding for each of these providers; no key is shown."""
    return [await _check(gateway, provider) for provider in providers]


async def _check(gateway: Gateway, provider: str) -> Check:
    name = f"assistants_{provider}_api_key"
    check = f"{provider} key"
    try:
        found = await gateway.call("engine.read_model_key", {"p_provider": provider})
    except AssistantsError as error:
        return fails(check, f"Vault cannot be asked: {error.code}", "Run `assistants migrate`.")
    match found["state"]:
        case "found":
            return holds(check, f"Vault has {name}")
        case "missing":
            advice = _CREATE.format(name=name, variable=f"{provider}_api_key".upper())
            return fails(check, f"Vault has no secret named {name}", advice)
        case "not_permitted":
            return fails(check, "the owner of engine.read_model_key may not read Vault", _GRANT)
    return fails(check, "the project has no Vault", _ENABLE.format(provider=provider))
