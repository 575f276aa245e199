"""An answer as a cache keeps it, and as it is said again."""

from collections.abc import Iterator
from typing import Any

from backend.domain.json_values import JsonObject
from backend.domain.usage import Usage
from backend.ports.models import Discarded, Finished, ModelEvent, ReasoningDelta, TextDelta
from backend.ports.replies import Reply

_PIECE = 200


class Recording:
    """What is heard of an answer while it is made."""

    def __init__(self) -> None:
        self._reply = Reply()
        self._thoughts: list[str] = []

    def hear(self, event: ModelEvent) -> None:
        """Take in the next event."""
        self._reply.hear(event)
        if isinstance(event, ReasoningDelta):
            self._thoughts.append(event.text)
        elif isinstance(event, Discarded):
            self._thoughts = []

    def value(self) -> JsonObject | None:
        """Return what may be said again: of a whole answer without any call of a tool."""
        whole = self._reply.whole()
        # What a call has done, nobody can repeat; and what was cut short may go on next time.
        if whole.calls or whole.reason != "stop" or not whole.text:
            return None
        return {"text": whole.text, "thoughts": "".join(self._thoughts), "model": whole.model}


def replay(value: Any) -> Iterator[ModelEvent]:
    """Yield the answer again, in pieces as a model would; it costs no tokens."""
    for thought in _pieces(value["thoughts"]):
        yield ReasoningDelta(thought)
    for text in _pieces(value["text"]):
        yield TextDelta(text)
    yield Finished("stop", Usage(), value["model"])


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]
