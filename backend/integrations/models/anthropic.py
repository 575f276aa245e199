"""`anthropic:*`: Anthropic's Messages API."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import cast, get_args

from anthropic import AnthropicError, AsyncAnthropic
from anthropic.types import Model as KnownModel
from httpx2 import AsyncClient
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.profiles.anthropic import AnthropicModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.domain.options import Options
from backend.integrations.models.connections import MOST_ACCOUNTS
from backend.integrations.models.kept import Memory
from backend.integrations.models.wishes import lacks_form, lacks_reasoning, samples
from backend.ports.models import ModelRequest

_BASE_URL = "https://api.anthropic.com"
# A tool keeps the schema that its author wrote.
_PROFILE = AnthropicModelProfile(json_schema_transformer=None)
_HOTTEST = 1
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
    keeps_plain_thoughts = False
    reads_pdf = True
    user_begins = True
    is_always_strict = True
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
        self.base_url = (base_url or _BASE_URL).rstrip("/").removesuffix("/v1")
        self._account = lru_cache(MOST_ACCOUNTS)(self._open)

    def model(self, key: str, request: ModelRequest) -> AnthropicModel:
        """Return the model that is asked, with this key."""
        return AnthropicModel(request.model, provider=self._account(key), profile=_PROFILE)

    def client(self, key: str) -> AsyncAnthropic:
        """Return the vendor's own client of this account."""
        return cast("AsyncAnthropic", self._account(key).client)

    def lacks(self, model: Model, request: ModelRequest) -> str | None:
        """Return what the request wants and the model has no such thing as, or none."""
        profile, options = model.profile, request.options
        return (
            lacks_form(profile, options)
            or lacks_reasoning(profile, options)
            or _lacks_sampling(cast("AnthropicModelProfile", profile), options)
        )

    def settings(self, common: ModelSettings, request: ModelRequest, model: Model) -> ModelSettings:
        """Return the common settings, and that what is sent again be cached.

        Where a model may not think, it does not.
        """
        common["cache"] = True
        adapts = cast("AnthropicModelProfile", model.profile).get(
            "anthropic_supports_adaptive_thinking", False
        )
        if common.get("thinking") and not adapts and not self._may_think(request, model):
            common.pop("thinking")
        return common

    def embedder(self, key: str, name: str) -> None:  # noqa: ARG002 - as the port says
        """Return none: Anthropic has no embeddings."""
        return

    def _may_think(self, request: ModelRequest, model: Model) -> bool:
        """Return whether the last calls, if they are still to be answered, begin with thoughts."""
        if not request.messages or request.messages[-1].role != "tool":
            return True
        answers = (turn for turn in reversed(request.messages) if turn.role == "assistant")
        memory = Memory("anthropic", request.model, model.system)
        return any(memory.owns(turn) for turn in islice(answers, 1))

    def _open(self, key: str) -> AnthropicProvider:
        client = AsyncAnthropic(
            api_key=key, base_url=self.base_url, http_client=self._pool, max_retries=0
        )
        return AnthropicProvider(anthropic_client=client)


def _lacks_sampling(profile: AnthropicModelProfile, options: Options) -> str | None:
    if samples(options) and profile.get("anthropic_disallows_sampling_settings", False):
        return "takes neither temperature nor top_p"
    if options.temperature is None:
        return None
    if options.temperature > _HOTTEST:
        return f"takes a temperature of {_HOTTEST} at most"
    thinks = options.reasoning_effort not in (None, "none")
    return "takes no temperature while it reasons" if thinks and options.temperature != 1 else None
