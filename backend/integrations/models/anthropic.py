"""`anthropic:*`: Anthropic's Messages API."""

from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

from anthropic import AnthropicError, AsyncAnthropic
from anthropic.types import Model as KnownModel
from httpx2 import AsyncClient
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.profiles.anthropic import AnthropicModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.integrations.models.connections import MOST_ACCOUNTS

_BASE_URL = "https://api.anthropic.com"
# A tool keeps the schema that its author wrote.
_PROFILE = AnthropicModelProfile(json_schema_transformer=None)
_MESSAGE: JsonObject = {
    "id": "msg_0",
    "type": "message",
    "role": "assistant",
    "model": "rehearsal",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_CALL: JsonObject = {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {}}
_PIECE: JsonObject = {"type": "input_json_delta", "partial_json": "{}"}


class Anthropic:
    """Anthropic's models."""

    names: Sequence[str] = get_args(get_args(KnownModel)[0])
    errors: tuple[type[Exception], ...] = (AnthropicError,)
    call_id_length: int | None = None
    rehearsal: Sequence[JsonObject] = (
        {"type": "message_start", "message": _MESSAGE},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "-"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": _CALL},
        {"type": "content_block_delta", "index": 1, "delta": _PIECE},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    )

    def __init__(self, pool: AsyncClient, base_url: str | None = None) -> None:
        """Nothing is connected yet.

        Args:
            pool: Of connections.
            base_url: Where the API is, with or without its `/v1`; Anthropic's own by default.
        """
        self._pool = pool
        self._base_url = (base_url or _BASE_URL).rstrip("/").removesuffix("/v1")
        self._account = lru_cache(MOST_ACCOUNTS)(self._open)

    def model(self, key: str, name: str) -> AnthropicModel:
        """Return the model of this name, asked with this key."""
        return AnthropicModel(name, provider=self._account(key), profile=_PROFILE)

    def settings(self, common: ModelSettings) -> ModelSettings:
        """Return the common settings."""
        return common

    def embedder(self, key: str, name: str) -> None:  # noqa: ARG002 - as the port says
        """Return none: Anthropic has no embeddings."""
        return

    def _open(self, key: str) -> AnthropicProvider:
        client = AsyncAnthropic(
            api_key=key, base_url=self._base_url, http_client=self._pool, max_retries=0
        )
        return AnthropicProvider(anthropic_client=client)
