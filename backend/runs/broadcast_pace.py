"""When the next batch of broadcasts may follow."""

import structlog

from backend.domain.backoff import backoff_s
from backend.ports.broadcasts import Answer
from backend.ports.clock import Clock

_log = structlog.get_logger()
BROADCAST_FAILED = "broadcast.failed"
BROADCAST_REFUSED = "broadcast.refused"
BROADCAST_RESUMED = "broadcast.resumed"
TICK_S = 0.1
ASLEEP_S = 600.0
_BASE_S = 0.5
_LIMIT_S = 30.0
_SLOWEST = 32.0
_RECOVERY = 0.95


class BroadcastPace:
    """Ten batches a second while all goes well; fewer where many speak or the other side ails."""

    def __init__(self, clock: Clock, *, messages_per_s: float) -> None:
        """The first batch may follow at once.

        Args:
            clock: Measures.
            messages_per_s: What goes out on average, however many sessions speak.
        """
        self._clock = clock
        self._messages_per_s = messages_per_s
        self._slowness = 1.0
        self._failures = 0
        self.next_at = clock.monotonic()
        """On the clock's monotonic scale."""

    @property
    def is_failing(self) -> bool:
        """Whether the last batch found nobody who takes it."""
        return self._failures > 0

    async def wait(self) -> None:
        """It is time for the next batch."""
        await self._clock.sleep(self.next_at - self._clock.monotonic())

    def rest(self) -> None:
        """There was nothing to send; looking again takes a read, too."""
        self._pause(TICK_S)

    def note(self, answer: Answer) -> None:
        """A batch was answered so."""
        match answer.verdict:
            case "taken":
                self._slowness = max(1.0, self._slowness * _RECOVERY)
                if self._failures:
                    _log.info(BROADCAST_RESUMED, failures=self._failures)
                self._failures = 0
            case "refused":
                _log.warning(BROADCAST_REFUSED, status=answer.status)
            case "slower":
                self._slowness = min(_SLOWEST, self._slowness * 2)
            case "later" | "impossible":
                self._pause(max(self._fail(answer), answer.retry_after_s))
                return
        pause_s = max(TICK_S, answer.messages / self._messages_per_s) * self._slowness
        self._pause(max(pause_s, answer.retry_after_s))

    def _fail(self, answer: Answer) -> float:
        # Said once, until something is taken again.
        if not self._failures:
            _log.warning(BROADCAST_FAILED, status=answer.status, verdict=answer.verdict)
        self._failures += 1
        if answer.verdict == "impossible":
            return ASLEEP_S
        jitter = self._clock.random()
        return backoff_s(self._failures - 1, base_s=_BASE_S, limit_s=_LIMIT_S, jitter=jitter)

    def _pause(self, seconds: float) -> None:
        self.next_at = self._clock.monotonic() + seconds
