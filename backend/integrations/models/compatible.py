"""Servers that speak OpenAI's Chat Completions: Ollama, vLLM, llama.cpp, a gateway."""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

from httpx2 import AsyncClient
from openai import OpenAIError
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.integrations.models.chat import CHAT_REHEARSAL, MISTRAL_CALL_ID_LENGTH, open_client
from backend.integrations.models.connections import MOST_ACCOUNTS
from backend.ports.models import ModelRequest

# What all of them take: `max_tokens`, and `strict` only where a row asks for it. A tool keeps the
# schema that its author wrote. What else a server cannot do, it says itself.
_PROFILE = OpenAIModelProfile(
    json_schema_transformer=None,
    openai_chat_streaming_requires_finish_reason=True,
    openai_chat_supports_max_completion_tokens=False,
    supports_json_object_output=True,
    supports_json_schema_output=True,
)


class Compatible:
    """The models of one server."""

    names: Sequence[str] = ()
    errors: tuple[type[Exception], ...] = (OpenAIError,)
    call_id_length: int | None = MISTRAL_CALL_ID_LENGTH
    keeps_plain_thoughts = False
    reads_pdf = False
    user_begins = True
    is_always_strict = False
    rehearsal: Sequence[JsonObject] = CHAT_REHEARSAL

    def __init__(self, pool: AsyncClient, base_url: str) -> None:
        """Nothing is connected yet.

        Args:
            pool: Of connections.
            base_url: Where the API is, with its `/v1`.
        """
        self._pool = pool
        self.base_url = base_url
        self._account = lru_cache(MOST_ACCOUNTS)(self._open)

    def model(self, key: str, request: ModelRequest) -> OpenAIChatModel:
        """Return the model that is asked, with this key."""
        return OpenAIChatModel(request.model, provider=self._account(key), profile=_PROFILE)

    def lacks(self, model: Model, request: ModelRequest) -> str | None:  # noqa: ARG002 - as the port says
        """Return none: what a server of somebody's own can do, it knows alone."""
        return None

    def settings(
        self,
        common: ModelSettings,
        request: ModelRequest,
        model: Model,  # noqa: ARG002 - as the port says
    ) -> ModelSettings:
        """Return the common settings, and how hard to think in the words of the row."""
        own = OpenAIChatModelSettings(**cast("OpenAIChatModelSettings", common))
        own.pop("thinking", None)
        if request.options.reasoning_effort is not None:
            own["openai_reasoning_effort"] = request.options.reasoning_effort
        return own

    def embedder(self, key: str, name: str) -> OpenAIEmbeddingModel:
        """Return the embedding model of this name."""
        return OpenAIEmbeddingModel(name, provider=self._account(key))

    def _open(self, key: str) -> OpenAICompatibleProvider:
        client = open_client(key, self.base_url, self._pool)
        return OpenAICompatibleProvider("compatible", openai_client=client)
