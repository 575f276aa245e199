"""`openai:*`: OpenAI's Responses API, or a server that speaks it. Nothing is kept there."""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast, get_args

from httpx2 import AsyncClient
from openai import AsyncOpenAI, OpenAIError
from openai.types import ChatModel
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.domain.options import Options
from backend.integrations.models.connections import MOST_ACCOUNTS
from backend.integrations.models.requests import cache_key_of
from backend.integrations.models.wishes import lacks_form, lacks_reasoning, samples
from backend.ports.models import ModelRequest

_BASE_URL = "https://api.openai.com/v1"
# A tool keeps the schema that its author wrote. Of its thoughts a model is shown those that led to a
# call of tools, encrypted, and no others.
_PROFILE = OpenAIModelProfile(
    json_schema_transformer=None,
    openai_responses_supports_reasoning_context=False,
)
_FORGETFUL = OpenAIModelProfile(
    **{**_PROFILE, "openai_supports_encrypted_reasoning_content": False}
)
_RESPONSE: JsonObject = {
    "id": "resp_0",
    "object": "response",
    "created_at": 0,
    "model": "rehearsal",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
_USAGE: JsonObject = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
_ITEM: JsonObject = {
    "type": "function_call",
    "id": "fc_0",
    "call_id": "call_0",
    "name": "f",
    "arguments": "",
}
_PLACE: JsonObject = {"item_id": "msg_0", "output_index": 0, "content_index": 0}


class OpenAI:
    """OpenAI's models."""

    names: Sequence[str] = get_args(ChatModel)
    errors: tuple[type[Exception], ...] = (OpenAIError,)
    call_id_length: int | None = None
    keeps_plain_thoughts = False
    reads_pdf = True
    user_begins = False
    is_always_strict = False
    rehearsal: Sequence[JsonObject] = (
        {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress"}},
        {"type": "response.output_text.delta", **_PLACE, "delta": "-"},
        {"type": "response.output_item.added", "output_index": 1, "item": _ITEM},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_0", "delta": "{}"},
        {
            "type": "response.completed",
            "response": {**_RESPONSE, "status": "completed", "usage": _USAGE},
        },
    )

    def __init__(self, pool: AsyncClient, base_url: str | None = None) -> None:
        """Nothing is connected yet.

        Args:
            pool: Of connections.
            base_url: Where the API is, with its `/v1`; OpenAI's own by default.
        """
        self._pool = pool
        self.base_url = base_url or _BASE_URL
        self._account = lru_cache(MOST_ACCOUNTS)(self._open)

    def model(self, key: str, request: ModelRequest) -> OpenAIResponsesModel:
        """Return the model that is asked, with this key."""
        calls = bool(request.tools) or any(turn.kept for turn in request.messages)
        profile = _PROFILE if calls else _FORGETFUL
        return OpenAIResponsesModel(request.model, provider=self._account(key), profile=profile)

    def client(self, key: str) -> AsyncOpenAI:
        """Return the vendor's own client of this account."""
        return self._account(key).client

    def lacks(self, model: Model, request: ModelRequest) -> str | None:
        """Return what the request wants and the model has no such thing as, or none."""
        profile, options = model.profile, request.options
        return (
            lacks_form(profile, options)
            or lacks_reasoning(profile, options)
            or _lacks_sampling(cast("OpenAIModelProfile", profile), options)
        )

    def settings(
        self,
        common: ModelSettings,
        request: ModelRequest,
        model: Model,  # noqa: ARG002 - as the port says
    ) -> ModelSettings:
        """Return the common settings, that nothing be stored, and which requests begin alike."""
        own = OpenAIResponsesModelSettings(**cast("OpenAIResponsesModelSettings", common))
        own["openai_store"] = False
        if key := cache_key_of(request.asker):
            own["openai_prompt_cache_key"] = key
        return own

    def embedder(self, key: str, name: str) -> OpenAIEmbeddingModel:
        """Return the embedding model of this name."""
        return OpenAIEmbeddingModel(name, provider=self._account(key))

    def _open(self, key: str) -> OpenAIProvider:
        client = AsyncOpenAI(
            api_key=key, base_url=self.base_url, http_client=self._pool, max_retries=0
        )
        return OpenAIProvider(openai_client=client)


def _lacks_sampling(profile: OpenAIModelProfile, options: Options) -> str | None:
    if not (samples(options) and profile.get("openai_supports_reasoning", False)):
        return None
    reasons = profile.get("thinking_enabled_by_default", False)
    if options.reasoning_effort is not None:
        reasons = options.reasoning_effort != "none"
    if not profile.get("openai_supports_reasoning_effort_none", False):
        reasons = True
    return "takes neither temperature nor top_p while it reasons" if reasons else None
