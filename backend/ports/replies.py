"""The fold from a model's events to its whole reply."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from backend.errors import ModelStreamTruncated
from backend.ports.models import (
    Discarded,
    Finished,
    LLMProvider,
    ModelEvent,
    ModelReply,
    ModelRequest,
    TextDelta,
    ToolCallMade,
)

if TYPE_CHECKING:
    from backend.domain.messages import ToolCall


class Reply:
    """What a stream has said so far."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
        self._final: Finished | None = None

    def hear(self, event: ModelEvent) -> None:
        """Take in the next event."""
        match event:
            case TextDelta(text):
                self.text_bytes += len(text.encode("utf-8", "surrogatepass"))
                self._text.append(text)
            case ToolCallMade(call):
                self._calls.append(call)
            case Discarded():
                self.text_bytes = 0
                self._text, self._calls = [], []
            case Finished():
                self._final = event

    def whole(self) -> ModelReply:
        """Return the reply that has ended.

        Raises:
            ModelStreamTruncated: The final event never came, so this is no reply.
        """
        if self._final is None:
            raise ModelStreamTruncated("The model's stream ended without its final event.")
        text, final = "".join(self._text), self._final
        return ModelReply(
            text, final.reason, final.usage, tuple(self._calls), final.model, final.kept
        )


async def collect(stream: AsyncGenerator[ModelEvent, None]) -> ModelReply:
    """Return the whole reply of a stream.

    Raises:
        ModelStreamTruncated: The stream ended without its final event.
    """
    reply = Reply()
    async with aclosing(stream) as events:
        async for event in events:
            reply.hear(event)
    return reply.whole()


class Streamed(LLMProvider, Protocol):
    """A provider whose whole answer is what it would have streamed."""

    async def generate(self, request: ModelRequest) -> ModelReply:
        """Return the whole answer at once."""
        return await collect(self.stream(request))
