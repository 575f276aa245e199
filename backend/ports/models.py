"""Language models behind one interface: generate, stream, embed."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from backend.domain.assistants import FunctionTool
from backend.domain.messages import Message, ToolCall
from backend.domain.usage import Usage

StopReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Named:
    """The model must call this tool."""

    name: str


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | Named


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model."""

    model: str
    """The provider's own name for it, without our prefix."""
    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[FunctionTool] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_output_tokens: int | None = None
    attempt: int = 1
    """How often the run was claimed, this time included."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of thought."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallMade:
    """One whole tool call; parallel calls come as several events."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Finished:
    """The final event; a stream without it was cut off."""

    reason: StopReason
    usage: Usage


ModelEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallMade | Finished


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole answer."""

    text: str
    reason: StopReason
    usage: Usage
    calls: tuple[ToolCall, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each text, in their order."""

    vectors: Sequence[Sequence[float]]
    usage: Usage


class LLMProvider(Protocol):
    """Serves the models behind one prefix.

    All methods raise ModelUnavailable or ModelRateLimited where a later try may work, and
    ModelRefused or ModelNotFound where none will.
    """

    async def generate(self, request: ModelRequest) -> ModelReply:
        """Return the whole answer at once."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer as it is made, Finished last; ends early only when cut off."""
        ...

    async def embed(self, texts: Sequence[str], *, model: str) -> Embeddings:
        """Return unit vectors, near each other where the meanings are."""
        ...


class ModelCatalogue(Protocol):
    """Knows who serves which model."""

    def find(self, model: str) -> tuple[LLMProvider, str]:
        """Return the provider of a `provider:name` id, and the name.

        Raises:
            ModelNotFound: Nobody serves it.
        """
        ...
