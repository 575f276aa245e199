"""The way to browsers that follow sessions by another service than ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from backend.domain.ids import SessionId
from backend.domain.json_values import JsonObject

Batch: TypeAlias = Sequence[tuple[SessionId, Sequence[JsonObject]]]
"""Sessions and their new events, in the order of each stream."""
Verdict: TypeAlias = Literal["taken", "refused", "later", "slower", "impossible"]
"""Refused: this batch, whenever it is sent. Slower: too much was sent. Impossible: nothing will be
taken here before somebody changes the project or our key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch."""

    verdict: Verdict
    messages: int = 0
    """How many a receiver gets and the project is charged for."""
    status: int | None = None
    """Of HTTP; None where there was no answer."""
    retry_after_s: float = 0.0


class BroadcastChannel(Protocol):
    """Passes events on to whoever follows their session now."""

    async def send(self, batch: Batch) -> Answer:
        """Return what became of the batch; of one that is not taken, parts may have arrived.

        Never raises for what the other side does.
        """
        ...
