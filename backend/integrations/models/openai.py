"""`openai:*`: OpenAI's Responses API, or a server that speaks it.

Nothing is kept there (`store=false`), nothing is tried twice here (the run's own retry is the only
one), and what is said reaches no log and nobody but the provider.
"""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from httpx2 import AsyncClient
from openai import AsyncOpenAI
from pydantic_ai.direct import model_request_stream
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import InstructionPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import openai as vendor
from pydantic_ai.tools import ToolDefinition

from backend.domain.usage import Usage
from backend.errors import AssistantsError, ModelReplyUnreadable
from backend.integrations.models.connections import PATIENCE, open_pool
from backend.integrations.models.failures import CLIENT_ERRORS, failure_of, traits_of
from backend.integrations.models.stream import events_of, usage_of
from backend.integrations.models.turns import model_messages
from backend.ports.models import Embeddings, ModelEvent, ModelReply, ModelRequest, Named
from backend.ports.replies import collect

CALL_FAILED = "model.call_failed"
_log = structlog.get_logger()
_BASE_URL = "https://api.openai.com/v1"
_EMBEDDED_AT_ONCE = 256
# A tool keeps the schema that its author wrote. Thoughts never come back to the provider, so they
# are not asked for in the form that only it can read.
_PROFILE = OpenAIModelProfile(
    json_schema_transformer=None,
    openai_supports_encrypted_reasoning_content=False,
    openai_responses_supports_reasoning_context=False,
)


class OpenAIProvider:
    """Serves the models of one account; its connections are shared by all calls."""

    def __init__(
        self, api_key: str, *, base_url: str | None = None, pool: AsyncClient | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            api_key: A secret.
            base_url: Where the API is, with its `/v1`; OpenAI's own by default.
            pool: Of connections; from now on the provider's own.
        """
        self._pool = pool or open_pool(PATIENCE)
        client = AsyncOpenAI(
            api_key=api_key.strip(),
            base_url=base_url or _BASE_URL,
            http_client=self._pool,
            max_retries=0,
        )
        self._account = vendor.OpenAIProvider(openai_client=client)

    async def aclose(self) -> None:
        """No connection is open; calls that were under way have failed."""
        await self._pool.aclose()

    async def generate(self, request: ModelRequest) -> ModelReply:
        """Return the whole answer at once."""
        return await collect(self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer as it comes, its whole tool calls at the end, Finished last."""
        model = OpenAIResponsesModel(request.model, provider=self._account, profile=_PROFILE)
        call = model_request_stream(
            model,
            model_messages(request.messages),
            model_settings=_settings(request),
            model_request_parameters=_parameters(request),
            instrument=False,
        )
        try:
            async with call as response, aclosing(events_of(response)) as events:
                async for event in events:
                    yield event
        except CLIENT_ERRORS as error:
            raise _failure(error, request.model) from None

    async def embed(self, texts: Sequence[str], *, model: str) -> Embeddings:
        """Return unit vectors; many texts are several calls, one after the other."""
        embedder = OpenAIEmbeddingModel(model, provider=self._account)
        vectors: list[Sequence[float]] = []
        usage = Usage()
        for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
            # The API refuses a text without a character.
            some = [text or " " for text in texts[start : start + _EMBEDDED_AT_ONCE]]
            try:
                found = await embedder.embed(some, input_type="document")
                vectors += _units(found.embeddings, len(some))
            except CLIENT_ERRORS as error:
                raise _failure(error, model) from None
            usage += usage_of(found.usage)
        return Embeddings(vectors, usage)


def _settings(request: ModelRequest) -> OpenAIResponsesModelSettings:
    choice = request.tool_choice
    settings = OpenAIResponsesModelSettings(
        openai_store=False, tool_choice=[choice.name] if isinstance(choice, Named) else choice
    )
    # Some models take neither, so both are left to the provider unless somebody cares.
    if not request.parallel_tool_calls:
        settings["parallel_tool_calls"] = False
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    return settings


def _parameters(request: ModelRequest) -> ModelRequestParameters:
    said = request.instructions
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
            )
            for tool in request.tools
        ],
        instruction_parts=[InstructionPart(content=said)] if said else None,
    )


def _units(vectors: Sequence[Sequence[float]], wanted: int) -> list[list[float]]:
    lengths = [math.hypot(*vector) for vector in vectors]
    if len(lengths) != wanted or not all(0 < length < math.inf for length in lengths):
        raise ModelReplyUnreadable("The provider has not sent one vector for each text.")
    return [[x / length for x in it] for it, length in zip(vectors, lengths, strict=True)]


def _failure(error: Exception, model: str) -> AssistantsError:
    failure = failure_of(error)
    _log.warning(CALL_FAILED, provider="openai", model=model, code=failure.code, **traits_of(error))
    return failure
