"""The settings of questions that may wait for a batch, a part of `Settings`."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

_HAVE_BATCHES = ("anthropic", "mistral", "openai")


class BatchSettings(BaseSettings):
    """Which providers are asked in batches, and how soon."""

    model_batches: Annotated[Sequence[str], NoDecode] = ()
    """Providers, comma-separated, that are asked in batches for assistants that say so; others are
    asked directly."""
    model_batch_delay_s: float = Field(default=30.0, ge=0, le=3600)
    """For so long a question waits for others that go with it."""
    model_batch_poll_s: float = Field(default=60.0, ge=0.05, le=3600)
    """How often a provider is asked whether a batch has ended."""
    model_batch_price: float = Field(default=0.5, ge=0, le=1)
    """What part of the direct price a batch costs, where the price list has none for batches."""

    @field_validator("model_batches", mode="before")
    @classmethod
    def _have_batches(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = tuple(it.strip() for it in value.split(",") if it.strip())
        if unknown := set(named) - set(_HAVE_BATCHES):
            raise ValueError(f"{min(unknown)} is none of {', '.join(_HAVE_BATCHES)}")
        return named
