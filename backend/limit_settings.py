"""The settings of patience and limits towards models' providers, a part of `Settings`."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from backend.domain.rates import Rate, parse_rates


class LimitSettings(BaseSettings):
    """How long calls of models may take, and how often providers are asked."""

    model_connect_s: float = Field(default=10.0, ge=0.01, le=120)
    """For a connection to a provider."""
    model_silence_s: float = Field(default=120.0, ge=0.01, le=3600)
    """Between two pieces on the wire: models may think for a while before they go on."""
    model_first_s: float = Field(default=300.0, ge=0.01, le=3600)
    """Until the first word, thought or whole tool call."""
    model_call_s: float = Field(default=600.0, ge=0.01, le=7200)
    """For a whole answer of a model."""
    model_retry_s: float = Field(default=5.0, ge=0, le=60)
    """How long a run keeps its slot, in all waits of one call, to ask a provider again; 0: never."""
    model_failures: int = Field(default=5, ge=1, le=1000)
    """After so many failures in a row a provider is left alone, and then asked by one call."""
    model_rest_s: float = Field(default=5.0, ge=0.01, le=60)
    """For how long, the first time; each further time twice as long, a minute at most."""
    model_limits: Annotated[Sequence[Rate], NoDecode] = ()
    """`openai:*=500rpm/200000tpm,anthropic:claude-x=50rpm`: what all workers together may ask, of one
    key; the first that concerns a model counts."""

    @field_validator("model_limits", mode="before")
    @classmethod
    def _are_rates(cls, value: Any) -> Any:
        return parse_rates(value) if isinstance(value, str) else value
