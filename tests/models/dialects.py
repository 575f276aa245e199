"""One answer in each provider's own words, for the server that sends exact bytes.

The counts are the same in all: 100 tokens in, of them 40 cached; 30 out, of them 12 thought.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tests.models import canned

CALLS = (("call_a", "roll_dice", ['{"sides":', " 6}"]), ("call_b", "flip_coin", ["{}"]))
"""Id, name, and the pieces of the arguments."""


class Dialect(Protocol):
    """How a provider tells an answer, as server-sent events."""

    def begin(self) -> list[Any]: ...

    def think(self, thought: str) -> list[Any]: ...

    def say(self, *texts: str) -> list[Any]: ...

    def call(self) -> list[Any]:
        """Return the events of CALLS."""
        ...

    def end(self, reason: str) -> list[Any]:
        """Return the events of the end: `stop`, `tool_calls`, `length` or `content_filter`."""
        ...


class Responses:
    """OpenAI's Responses API."""

    def begin(self) -> list[Any]:
        return [canned.created()]

    def think(self, thought: str) -> list[Any]:
        place = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
        return [canned.event("response.reasoning_summary_text.delta", **place, delta=thought)]

    def say(self, *texts: str) -> list[Any]:
        return [canned.delta(text) for text in texts]

    def call(self) -> list[Any]:
        events: list[Any] = []
        for call_id, name, pieces in CALLS:
            item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id}
            added = {**item, "name": name, "arguments": ""}
            events.append(canned.event("response.output_item.added", output_index=0, item=added))
            events += [
                canned.event(
                    "response.function_call_arguments.delta", item_id=item["id"], delta=piece
                )
                for piece in pieces
            ]
        return events

    def end(self, reason: str) -> list[Any]:
        if reason in ("stop", "tool_calls"):
            return [canned.ended()]
        why = {"length": "max_output_tokens"}.get(reason, reason)
        return [canned.ended("incomplete", incomplete_details={"reason": why})]


class Messages:
    """Anthropic's Messages API."""

    def __init__(self) -> None:
        self._index = -1

    def begin(self) -> list[Any]:
        self._index = -1
        usage = {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": canned.ANSWERED}
        rest: dict[str, Any] = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return [_named("message_start", message={**message, **rest})]

    def think(self, thought: str) -> list[Any]:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return self._block(block, {"type": "thinking_delta", "thinking": thought})

    def say(self, *texts: str) -> list[Any]:
        deltas = ({"type": "text_delta", "text": text} for text in texts)
        return self._block({"type": "text", "text": ""}, *deltas)

    def call(self) -> list[Any]:
        return [
            event
            for call_id, name, pieces in CALLS
            for event in self._block(
                {"type": "tool_use", "id": call_id, "name": name, "input": {}},
                *({"type": "input_json_delta", "partial_json": piece} for piece in pieces),
            )
        ]

    def end(self, reason: str) -> list[Any]:
        reasons = {
            "stop": "end_turn",
            "tool_calls": "tool_use",
            "length": "max_tokens",
            "content_filter": "refusal",
        }
        delta = {"stop_reason": reasons[reason], "stop_sequence": None}
        usage = {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 12}}
        return [_named("message_delta", delta=delta, usage=usage), _named("message_stop")]

    def _block(self, block: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[Any]:
        self._index += 1
        return [
            _named("content_block_start", index=self._index, content_block=block),
            *(_named("content_block_delta", index=self._index, delta=delta) for delta in deltas),
            _named("content_block_stop", index=self._index),
        ]


class Chat:
    """OpenAI's Chat Completions, as other servers speak it."""

    def begin(self) -> list[Any]:
        return [_chunk({"role": "assistant", "content": ""})]

    def think(self, thought: str) -> list[Any]:
        return [_chunk({"reasoning_content": thought})]

    def say(self, *texts: str) -> list[Any]:
        return [_chunk({"content": text}) for text in texts]

    def call(self) -> list[Any]:
        return [
            _chunk({"tool_calls": [{"index": index, "type": "function", **made}]})
            for index, (call_id, name, pieces) in enumerate(CALLS)
            for made in _typed(
                {"id": call_id, "function": {"name": name, "arguments": ""}},
                *({"function": {"arguments": piece}} for piece in pieces),
            )
        ]

    def end(self, reason: str) -> list[Any]:
        counted = {**_chunk({}), "choices": [], "usage": _COUNTS}
        return [_chunk({}, reason), counted, b"data: [DONE]\n\n"]


class MistralChat(Chat):
    """Mistral's: thoughts are content, calls come whole, and the count comes with the end."""

    def think(self, thought: str) -> list[Any]:
        told = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        return [_chunk({"content": [told]})]

    def call(self) -> list[Any]:
        return [
            _chunk({"tool_calls": [{"index": index, "id": call_id, "function": function}]})
            for index, (call_id, name, pieces) in enumerate(CALLS)
            for function in ({"name": name, "arguments": "".join(pieces)},)
        ]

    def end(self, reason: str) -> list[Any]:
        # It has no word for an answer that was filtered.
        reason = "error" if reason == "content_filter" else reason
        last = {**_chunk({"content": ""}, reason), "usage": _COUNTS}
        return [last, b"data: [DONE]\n\n"]


DIALECTS: Mapping[str, Dialect] = {
    "anthropic": Messages(),
    "compatible": Chat(),
    "mistral": MistralChat(),
    "openai": Responses(),
}
_COUNTS = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 12},
}


def whole(dialect: Dialect, *parts: Sequence[Any], reason: str = "stop") -> list[Any]:
    """Return the events of an answer with these parts."""
    return [*dialect.begin(), *(event for part in parts for event in part), *dialect.end(reason)]


def _typed(*fields: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return fields


def _named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    head = {
        "id": "chat_1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": canned.ANSWERED,
    }
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
