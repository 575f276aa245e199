"""What a worker makes of a provider's 429 where it knows no limits: one call after the other.

Nothing is asked of the database. A key that was never refused is free. After a refusal nobody asks
for as long as the provider says; then one call after the other, at a pace that is halved by each
further refusal, and grows with each answer: the more of them have come since, the faster.
"""

from dataclasses import dataclass

from backend.domain.usage import Usage
from backend.errors import ModelRateLimited
from backend.ports.clock import Clock
from backend.ports.limits import Asked, Turn

PATIENCE_S = 5.0
"""For so long a run keeps its slot while it waits for its turn."""
_SHORTEST_S = 0.02
_LONGEST_S = 60.0
_UNSAID_S = 2.0
# What a provider asks for may be the gap between two calls, or the rest of a minute: that shows.
_FIRST_GAP_S = 1.0
_SLOWER = 2.0
_LONGEST_GAP_S = 8.0
_FASTER = 0.9
_FASTEST = 8
_CLOSER = 0.8
_FORGOTTEN_S = 60.0


def limited(seconds: float) -> ModelRateLimited:
    """Return the error of a call whose turn is in so many seconds."""
    said = "The model is at its limit of calls."
    return ModelRateLimited(said, retry_after_s=seconds, has_turn=True)


class Gate:
    """One key with one provider."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gap_s: float | None = None
        self._next_at = 0.0
        self._promised_until = 0.0
        self._promised_gap_s = 0.0
        self._refused_at = 0.0
        self._answers = 0
        self._closed_until = 0.0

    async def take(self, asked: Asked) -> Turn:
        """Return once the call may be made.

        Raises:
            ModelRateLimited: Not within a few seconds; later calls will have later turns.
        """
        is_back = asked.is_back
        while True:
            now = self._clock.monotonic()
            at = self._reserve(now, is_back=is_back)
            if at <= now:
                return _Pass(self, now)
            await self._clock.sleep(at - now)
            if self._clock.monotonic() >= self._closed_until:
                return _Pass(self, at)
            # Another call was refused meanwhile.
            is_back = True

    def _reserve(self, now: float, *, is_back: bool) -> float:
        if self._gap_s is None or now > self._closed_until + _FORGOTTEN_S:
            self._gap_s = None
            return now
        at = max(now, self._next_at)
        # Who comes for the first time does not overtake those who were told to come later.
        is_in_order = is_back or self._promised_until <= now
        if at - now > (PATIENCE_S if is_in_order else 0.0):
            raise limited(self._promise(at) - now)
        self._next_at = at + self._gap_s
        return at

    def answered(self) -> None:
        """The provider takes calls at this pace, and perhaps at a faster one."""
        if self._gap_s is not None:
            self._answers += 1
            faster = _FASTER ** min(self._answers, _FASTEST)
            self._gap_s = max(_SHORTEST_S, self._gap_s * faster)

    def refused(self, began: float, retry_after_s: float | None) -> None:
        """The key rests until the provider's time.

        Args:
            began: When the call began: one from before the last refusal says nothing new.
            retry_after_s: What the provider asked for.
        """
        now = self._clock.monotonic()
        rest_s = min(max(retry_after_s or _UNSAID_S, _SHORTEST_S), _LONGEST_S)
        rest_s *= 1 + 0.1 * self._clock.random()
        self._closed_until = max(self._closed_until, now + rest_s)
        self._next_at = max(self._next_at, self._closed_until)
        if self._gap_s is None:
            self._gap_s = min(rest_s, _FIRST_GAP_S)
        elif began >= self._refused_at:
            longest_s = min(max(rest_s, _FIRST_GAP_S), _LONGEST_GAP_S)
            self._gap_s = min(self._gap_s * _SLOWER, longest_s)
        else:
            return
        self._promised_gap_s = self._gap_s
        self._refused_at = now
        self._answers = 0

    def _promise(self, at: float) -> float:
        turn = max(self._promised_until, at)
        # Each answer will make the pace a little faster, so the turns come closer and closer.
        self._promised_until = turn + self._promised_gap_s
        self._promised_gap_s = max(_SHORTEST_S, self._promised_gap_s * _CLOSER)
        return turn


@dataclass(frozen=True, slots=True)
class _Pass:
    gate: Gate
    began: float

    def answered(self, usage: Usage) -> None:
        del usage
        self.gate.answered()

    async def refused(self, retry_after_s: float | None) -> None:
        self.gate.refused(self.began, retry_after_s)
