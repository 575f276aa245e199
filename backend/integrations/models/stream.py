"""What a model class of pydantic-ai streams, into our events."""

import re
from collections.abc import AsyncGenerator, Iterator

import pydantic_core
from pydantic_ai.messages import (
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from backend.domain.ids import CallId
from backend.domain.json_values import JsonObject
from backend.domain.messages import ToolCall
from backend.domain.usage import Usage
from backend.errors import ModelReplyUnreadable, ModelUnavailable
from backend.integrations.models.kept import Memory
from backend.integrations.models.words import Words, whole_characters
from backend.ports.models import (
    Finished,
    ModelEvent,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolCallMade,
)

_REASONS: dict[FinishReason, StopReason] = {
    "stop": "stop",
    "tool_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}
_REFUSAL = -1
_NAME = re.compile(r"[!-~]{1,200}")
_PIECE = 200
_MOST_TOKENS = 1_000_000_000
"""Of one call; no model has ever read or written so many."""


async def events_of(response: StreamedResponse, memory: Memory) -> AsyncGenerator[ModelEvent, None]:
    """Yield words as they come, then the whole tool calls, Finished last.

    A stream that was cut off yields no Finished, even where it ended as if nothing had happened.

    Args:
        response: Not yet read.
        memory: Of the model that answers.

    Raises:
        ModelReplyUnreadable: A call names no tool, or its arguments are no JSON object; asked
            again, the model may write a better one.
        ModelUnavailable: The provider says that it failed.
    """
    words = Words()
    async for event in response:
        for said in _said(event, words):
            yield said
    for told in _last_of(response.get(), words, memory):
        yield told


def events_of_whole(whole: ModelResponse, memory: Memory) -> Iterator[ModelEvent]:
    """Yield an answer that came at once as if it had been streamed; Finished is missing as there.

    Args:
        whole: All of it.
        memory: Of the model that answers.

    Raises:
        ModelReplyUnreadable: A call names no tool, or its arguments are no JSON object.
        ModelUnavailable: The provider says that it failed.
    """
    words = Words()
    for index, part in enumerate(whole.parts):
        for start in range(0, len(_text_of(part)), _PIECE):
            piece = _text_of(part)[start : start + _PIECE]
            if isinstance(part, ThinkingPart):
                yield ReasoningDelta(whole_characters(piece))
            elif said := words.next(index, piece):
                yield TextDelta(said)
    yield from _last_of(whole, words, memory)


def _text_of(part: ModelResponsePart) -> str:
    return part.content if isinstance(part, TextPart | ThinkingPart) else ""


def _last_of(whole: ModelResponse, words: Words, memory: Memory) -> Iterator[ModelEvent]:
    if whole.state != "complete" or whole.finish_reason is None:
        return
    if whole.finish_reason == "error":
        raise ModelUnavailable("The provider ended its answer with an error.")
    yield from _ending(whole, _REASONS[whole.finish_reason], words, memory)


def usage_of(usage: RequestUsage) -> Usage:
    """Return the counts; what the provider did not report, or cannot have counted, is 0."""
    thought = usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0)
    return Usage(
        input_tokens=_counted(usage.input_tokens),
        cached_tokens=_counted(usage.cache_read_tokens),
        cache_write_tokens=_counted(usage.cache_write_tokens),
        output_tokens=_counted(usage.output_tokens),
        # Where it stands depends on the vendor.
        reasoning_tokens=_counted(thought),
    )


def _counted(tokens: int) -> int:
    return tokens if 0 <= tokens <= _MOST_TOKENS else 0


def _said(event: ModelResponseStreamEvent, words: Words) -> Iterator[ModelEvent]:
    match event:
        case (
            PartStartEvent(index=text, part=TextPart(content=piece))
            | PartDeltaEvent(index=text, delta=TextPartDelta(content_delta=piece))
        ):
            if said := words.next(text, piece):
                yield TextDelta(said)
        case (
            PartStartEvent(part=ThinkingPart(content=str(thought)))
            | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(thought)))
        ) if thought:
            yield ReasoningDelta(whole_characters(thought))


def _ending(
    whole: ModelResponse, reason: StopReason, words: Words, memory: Memory
) -> Iterator[ModelEvent]:
    kept = None
    details = whole.provider_details or {}
    if refusal := details.get("refusal"):
        yield TextDelta(words.next(_REFUSAL, refusal))
    if refusal or details.get("finish_reason") == "refusal":
        reason = "refusal"
    # An answer that was cut short may hold half of a call's arguments: it makes no calls.
    calls = [part for part in whole.parts if isinstance(part, ToolCallPart)]
    if calls and reason in ("stop", "tool_calls"):
        yield from [ToolCallMade(_call(part)) for part in calls]
        reason, kept = "tool_calls", memory.keep(whole)
    yield Finished(reason, usage_of(whole.usage), _name(whole.model_name), kept)


def _name(told: str | None) -> str:
    """Return what the provider calls the model that answered; what cannot be a name is none."""
    return told if told and _NAME.fullmatch(told) else ""


def _call(part: ToolCallPart) -> ToolCall:
    if not part.tool_name:
        raise ModelReplyUnreadable("A tool call names no tool.")
    return ToolCall(CallId(part.tool_call_id or ""), part.tool_name, _arguments(part.args))


def _arguments(given: str | JsonObject | None) -> JsonObject:
    if not isinstance(given, str):
        return given or {}
    try:
        read = pydantic_core.from_json(whole_characters(given) or "{}", allow_inf_nan=False)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ModelReplyUnreadable("The arguments of a tool call are no JSON object.")
    return read
