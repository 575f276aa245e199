"""Language models behind one interface: generate, stream, embed."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from backend.domain.asker import Asker
from backend.domain.assistants import FunctionTool
from backend.domain.json_values import JsonObject
from backend.domain.messages import Message, ToolCall
from backend.domain.options import Options
from backend.domain.usage import Usage

StopReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "refusal"]
"""`refusal`: the model itself will not; what it says about that is the answer's text."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model."""

    model: str
    """Of a provider, its own name for it; of all models together, the whole id."""
    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[FunctionTool] = ()
    options: Options = field(default_factory=Options)
    attempt: int = 1
    """How often the run was claimed, this time included."""
    asker: Asker | None = None
    """None: the operator's own question, which nobody's limits concern."""
    place: str = ""
    """Of the question among those of its run, whatever it says by now; empty: its answer is asked
    for once more where it is lost."""
    stands_in: bool = False
    """Another model is asked than the one that the options were written for: what it does not take
    is left out."""
    when_cut: Callable[[Usage], None] | None = field(default=None, compare=False, repr=False)
    """Told what the call took by estimate, if whoever asks goes away before Finished."""


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
    model: str = ""
    """The id of the model that answered, where it may be another than the one asked."""
    kept: JsonObject | None = None
    """What the provider wants to be shown again with the calls of this answer, such as encrypted
    thoughts: `{"provider", …}`; no other provider ever sees it."""
    stands_in: bool = False
    """Another model answered than the one that was to, because that one failed."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """All words since the beginning are to be forgotten: another model answers from anew."""


ModelEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallMade | Discarded | Finished


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole answer."""

    text: str
    reason: StopReason
    usage: Usage
    calls: tuple[ToolCall, ...] = field(default=())
    model: str = ""
    kept: JsonObject | None = field(default=None, repr=False)


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

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors, near each other where the meanings are.

        Args:
            texts: Any number of them.
            model: As in a request.
            asker: Whose bill and budget it is; None: the operator's own.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, and who serves it."""

    id: str
    """`provider:name` of the model that answers: a retired one's successor."""
    name: str
    """The provider's own."""
    provider: LLMProvider

    @property
    def prefix(self) -> str:
        """What stands before the colon."""
        return self.id.partition(":")[0]


class ModelCatalogue(Protocol):
    """Knows who serves which model."""

    def find(self, model: str) -> ServedModel:
        """Return who serves a `provider:name` id.

        Raises:
            ModelNotFound: Nobody serves it.
        """
        ...
