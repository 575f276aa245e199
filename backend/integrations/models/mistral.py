"""`mistral:*`: Mistral's chat completions, by its own client, which knows its thoughts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast, get_args

import httpx2
from mistralai.client import Mistral as Client
from mistralai.client.errors import MistralError
from mistralai.client.utils.logger import NoOpLogger
from openai import OpenAIError
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.models.mistral import LatestMistralModelNames, MistralModel, MistralModelSettings
from pydantic_ai.providers.mistral import MistralProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.integrations.models.chat import CHAT_REHEARSAL, MISTRAL_CALL_ID_LENGTH, open_client
from backend.integrations.models.connections import MOST_ACCOUNTS
from backend.integrations.models.forms import FormedModel, form_of
from backend.integrations.models.requests import cache_key_of
from backend.integrations.models.wishes import lacks_reasoning
from backend.ports.models import ModelRequest

_BASE_URL = "https://api.mistral.ai"


class Mistral:
    """Mistral's models."""

    names: Sequence[str] = (*get_args(LatestMistralModelNames), "mistral-embed")
    errors: tuple[type[Exception], ...] = (MistralError, OpenAIError)
    call_id_length: int | None = MISTRAL_CALL_ID_LENGTH
    keeps_plain_thoughts = True
    reads_pdf = False
    user_begins = True
    is_always_strict = False
    rehearsal: Sequence[JsonObject] = CHAT_REHEARSAL

    def __init__(self, pool: httpx2.AsyncClient, base_url: str | None = None) -> None:
        """Nothing is connected yet.

        Args:
            pool: Of connections.
            base_url: Where the API is, with or without its `/v1`; Mistral's own by default.
        """
        self.pool = pool
        self.base_url = (base_url or _BASE_URL).rstrip("/").removesuffix("/v1")
        self._account = lru_cache(MOST_ACCOUNTS)(self._open)
        self._embeddings = lru_cache(MOST_ACCOUNTS)(self._open_embeddings)

    def model(self, key: str, request: ModelRequest) -> MistralModel:
        """Return the model that is asked, with this key."""
        form = form_of(request.options.answer)
        return FormedModel(request.model, self._account(key), form)

    def alike(self, model: Model) -> MistralModel:
        """Return the same model over other connections, which need no key."""
        return cast("FormedModel", model).over(self._account("-"))

    def lacks(self, model: Model, request: ModelRequest) -> str | None:
        """Return what the request wants and the model has no such thing as, or none."""
        return lacks_reasoning(model.profile, request.options)

    def settings(
        self,
        common: ModelSettings,
        request: ModelRequest,
        model: Model,  # noqa: ARG002 - as the port says
    ) -> ModelSettings:
        """Return the common settings, and which requests begin alike."""
        own = MistralModelSettings(**cast("MistralModelSettings", common))
        if key := cache_key_of(request.asker):
            own["mistral_prompt_cache_key"] = key
        return own

    def embedder(self, key: str, name: str) -> OpenAIEmbeddingModel:
        """Return the embedding model of this name: the API is the same as OpenAI's."""
        return OpenAIEmbeddingModel(name, provider=self._embeddings(key))

    def _open(self, key: str) -> MistralProvider:
        client = Client(
            api_key=key,
            server_url=self.base_url,
            async_client=self.pool,
            # Never used, and cheaper than the one that it would make.
            client=httpx2.Client(transport=httpx2.MockTransport(_refuse)),
            retry_config=None,
            # Whatever MISTRAL_DEBUG says: it would log what is said.
            debug_logger=NoOpLogger(),
        )
        return MistralProvider(mistral_client=client)

    def _open_embeddings(self, key: str) -> OpenAICompatibleProvider:
        client = open_client(key, f"{self.base_url}/v1", self.pool)
        return OpenAICompatibleProvider("mistral", openai_client=client)


def _refuse(_request: httpx2.Request) -> httpx2.Response:
    raise AssertionError("Nothing is asked synchronously.")
