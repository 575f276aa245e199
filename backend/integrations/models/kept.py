"""What a provider thought before it called tools, so that it can be shown its own thoughts again.

OpenAI's are encrypted, Anthropic's are signed; both are no use to anybody else. They go back to the
same model of the same provider, beside the calls that they led to, and to no other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_ai import messages as wire
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from backend.domain.json_values import JsonObject
from backend.domain.messages import Message, Text, ToolCall

LARGEST_KEPT_BYTES = 131_072
"""As JSON; what is larger is forgotten, and the model thinks again."""
_CHAT_FIELDS = frozenset({"reasoning", "reasoning_content"})
_MADE_CALL: TypeAlias = Callable[[ToolCall], wire.ToolCallPart]


@dataclass(frozen=True, slots=True)
class Memory:
    """Whose thoughts are kept, and whose may be shown."""

    provider: str
    """The prefix of its model ids."""
    model: str
    system: str
    """The provider, as pydantic-ai calls it."""
    keeps_plain: bool = False
    """Thoughts without a signature are something to it, too."""

    def keep(self, response: wire.ModelResponse) -> JsonObject | None:
        """Return what is to be shown again with the calls of this answer, or none."""
        items: list[JsonObject] = list(self._items(response.parts))
        if not any("thought" in item for item in items):
            return None
        kept: JsonObject = {"provider": self.provider, "model": self.model, "parts": items}
        try:
            return kept if len(to_json(kept)) <= LARGEST_KEPT_BYTES else None
        except (PydanticSerializationError, ValueError):
            return None

    def owns(self, turn: Message) -> bool:
        """Return whether the turn's thoughts are this model's."""
        kept = turn.kept or {}
        return (kept.get("provider"), kept.get("model")) == (self.provider, self.model)

    def replay(self, turn: Message, made: _MADE_CALL) -> list[wire.ModelResponsePart] | None:
        """Return the turn with its thoughts in their places, or none where there are none to show.

        Args:
            turn: Of the assistant.
            made: A call in the form of the wire.
        """
        kept: Any = turn.kept
        if not self.owns(turn):
            return None
        items = kept.get("parts")
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if not isinstance(items, list) or sum(_is_call(item) for item in items) != len(calls):
            # A thought without the call that it led to is refused.
            return None
        texts = [part.text for part in turn.parts if isinstance(part, Text) and part.text.strip()]
        try:
            return list(self._replayed(items, texts, [made(call) for call in calls]))
        except (AttributeError, KeyError, TypeError):
            return None

    def _items(self, parts: Sequence[wire.ModelResponsePart]) -> Iterator[JsonObject]:
        for part in parts:
            match part:
                case wire.ThinkingPart() if self._is_worth_it(part):
                    details = to_jsonable_python(part.provider_details or {}, fallback=str)
                    signed = {"signature": part.signature} if part.signature else {}
                    yield {"thought": part.content, **_id(part), **signed, "details": details}
                case wire.TextPart() if part.content.strip():
                    phase = (part.provider_details or {}).get("phase")
                    yield {"text": True, **_id(part), **({"phase": phase} if phase else {})}
                case wire.ToolCallPart():
                    yield {"call": True, **_id(part)}

    def _is_worth_it(self, part: wire.ThinkingPart) -> bool:
        if part.signature:
            return True
        return bool(part.content) and (self.keeps_plain or part.id in _CHAT_FIELDS)

    def _replayed(
        self,
        items: Sequence[Any],
        texts: Sequence[str],
        calls: Sequence[wire.ToolCallPart],
    ) -> Iterator[wire.ModelResponsePart]:
        waiting = iter(calls)
        places = [item for item in items if item.get("text")]
        if not places:
            yield from map(wire.TextPart, texts)
        for item in items:
            if "thought" in item:
                yield self._thought(item)
            elif _is_call(item):
                call = next(waiting)
                call.id, call.provider_name = item.get("id"), self.system
                yield call
            elif item is places[0]:
                yield from self._said(texts, item if len(places) == len(texts) == 1 else {})

    def _thought(self, item: Any) -> wire.ThinkingPart:
        return wire.ThinkingPart(
            str(item["thought"]),
            id=item.get("id"),
            signature=item.get("signature"),
            provider_name=self.system,
            provider_details=dict(item.get("details") or {}) or None,
        )

    def _said(self, texts: Sequence[str], item: Any) -> Iterator[wire.TextPart]:
        phase = {"phase": item["phase"]} if item.get("phase") else None
        for text in texts:
            yield wire.TextPart(
                text, id=item.get("id"), provider_name=self.system, provider_details=phase
            )


def _id(part: wire.ThinkingPart | wire.TextPart | wire.ToolCallPart) -> dict[str, str]:
    return {"id": part.id} if part.id else {}


def _is_call(item: Any) -> bool:
    return isinstance(item, dict) and "call" in item
