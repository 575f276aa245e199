"""The settings of what calls cost and where their keys are, a part of `Settings`."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

_HAVE_KEYS = ("anthropic", "mistral", "openai")


class UsageSettings(BaseSettings):
    """Beside what the operator sets in tables: prices, budgets and the caches' sizes."""

    model_keys_in_vault: Annotated[Sequence[str], NoDecode] = ()
    """Providers, comma-separated, whose keys are in Supabase Vault, each as the secret
    `assistants_<provider>_api_key`. A variable with a key comes first."""

    @field_validator("model_keys_in_vault", mode="before")
    @classmethod
    def _are_providers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = tuple(it.strip() for it in value.split(",") if it.strip())
        if unknown := set(named) - set(_HAVE_KEYS):
            raise ValueError(f"{min(unknown)} is none of {', '.join(_HAVE_KEYS)}")
        return named
