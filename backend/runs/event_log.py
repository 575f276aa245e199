"""A run's events on their way to the database."""

from backend.domain.events import MESSAGE_DELTA
from backend.domain.ids import MessageId
from backend.domain.json_values import JsonObject

# What carries events to browsers takes 256 kB at a time, whatever the letters and their escapes.
_MOST_CHARACTERS = 16_384


class EventLog:
    """Numbers events without a gap and joins deltas that wait together.

    An event that was taken once keeps its number and its text for ever: it may be stored already
    although the answer was lost.
    """

    def __init__(self, next_seq: int) -> None:
        self._next_seq = next_seq
        self._waiting: list[JsonObject] = []
        self._delta: list[str] = []
        self._delta_of: MessageId | None = None

    def append(self, type_: str, data: JsonObject) -> None:
        """Add an event behind all others."""
        self._seal()
        self._add(type_, data)

    def say(self, message_id: MessageId, text: str) -> None:
        """Add text; it joins the delta that waits, if that is of the same message."""
        if message_id != self._delta_of:
            self._seal()
            self._delta_of = message_id
        self._delta.append(text)

    def take(self) -> list[JsonObject]:
        """Return all that waits, numbered; none of it waits any more."""
        self._seal()
        taken, self._waiting = self._waiting, []
        return taken

    def put_back(self, events: list[JsonObject]) -> None:
        """Let events wait again, before what came since: they could not be sent."""
        self._waiting[:0] = events

    def _seal(self) -> None:
        if self._delta:
            text = "".join(self._delta)
            self._delta.clear()
            for first in range(0, len(text), _MOST_CHARACTERS):
                piece = text[first : first + _MOST_CHARACTERS]
                self._add(MESSAGE_DELTA, {"message_id": self._delta_of, "text": piece})
        self._delta_of = None

    def _add(self, type_: str, data: JsonObject) -> None:
        self._waiting.append({"seq": self._next_seq, "type": type_, "data": data})
        self._next_seq += 1
