"""A circuit breaker: a provider that is down is left alone, and asked by one call whether it is back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from backend.domain.backoff import backoff_s
from backend.errors import (
    ModelRateLimited,
    ModelReplyUnreadable,
    ModelResting,
    ModelStreamTruncated,
    ModelUnavailable,
    Rejected,
)
from backend.ports.clock import Clock
from backend.telemetry.names import BREAKER_CLOSED, BREAKER_OPENED

_log = structlog.get_logger()
_LONGEST_REST_S = 60.0
_PROBE_S = 1.0
_LONGEST_PROBE_S = 15.0
_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a provider counts as down."""

    failures: int = 5
    """In a row."""
    rest_s: float = 5.0
    """Of the first rest; each one that follows is twice as long, a minute at most."""


class Breaker:
    """What one worker knows of one provider."""

    def __init__(self, provider: str, clock: Clock, limits: BreakerLimits) -> None:
        """Closed: calls go through.

        Args:
            provider: For logs and errors.
            clock: Measures the rests.
            limits: When it opens.
        """
        self._provider = provider
        self._clock = clock
        self._limits = limits
        self._failures = 0
        self._rests = 0
        self._open_until: float | None = None
        self._probed_at: float | None = None

    @contextmanager
    def call(self) -> Iterator["Attempt"]:
        """Watch one call, and learn from how it ends.

        Raises:
            ModelResting: The provider is left alone just now.
        """
        attempt = Attempt(self, is_probe=self._admit())
        try:
            yield attempt
        except (ModelUnavailable, ModelStreamTruncated) as error:
            if isinstance(error, ModelReplyUnreadable):
                # Of nonsense, as of a refusal, the request is the reason: the provider is well.
                self.answered()
            elif not isinstance(error, ModelRateLimited):
                self._failed(error)
            raise
        except Rejected:
            self.answered()
            raise
        finally:
            # A call that was cancelled has learnt nothing: the next one asks.
            if attempt.is_probe:
                self._probed_at = None

    def begun(self) -> None:
        """A probe is being answered: all may call again, but one more failure ends that."""
        if self._open_until is not None:
            self._open_until = None
            self._failures = self._limits.failures - 1
            _log.info(BREAKER_CLOSED, provider=self._provider)

    def answered(self) -> None:
        """The provider is well."""
        self.begun()
        self._failures = self._rests = 0

    def _admit(self) -> bool:
        if self._open_until is None:
            return False
        now = self._clock.monotonic()
        left_s = self._open_until - now
        if self._probed_at is not None:
            # The longer nothing is heard of it, the longer it may still take.
            left_s = min(max(_PROBE_S, now - self._probed_at), _LONGEST_PROBE_S)
        if left_s > 0:
            said = f"{self._provider} does not answer, and is left alone for a while."
            # So that not all are back at once, nor always the same one first.
            spread_s = left_s * _SPREAD * self._clock.random()
            raise ModelResting(said, retry_after_s=left_s + spread_s)
        self._probed_at = now
        return True

    def _failed(self, error: ModelUnavailable | ModelStreamTruncated) -> None:
        self._failures += 1
        # Calls that were under way when it opened say nothing new.
        is_news = self._open_until is None or self._probed_at is not None
        if self._failures < self._limits.failures or not is_news:
            return
        rest_s = backoff_s(
            self._rests,
            base_s=self._limits.rest_s,
            limit_s=_LONGEST_REST_S,
            jitter=self._clock.random(),
        )
        asked_s = error.retry_after_s if isinstance(error, ModelUnavailable) else None
        rest_s = max(rest_s, min(asked_s or 0.0, _LONGEST_REST_S))
        self._rests += 1
        self._open_until = self._clock.monotonic() + rest_s
        _log.warning(
            BREAKER_OPENED,
            provider=self._provider,
            failures=self._failures,
            rest_s=round(rest_s, 1),
        )


class Attempt:
    """One call that the breaker let through."""

    def __init__(self, breaker: Breaker, *, is_probe: bool) -> None:
        self._breaker = breaker
        self.is_probe = is_probe

    def begun(self) -> None:
        """The first piece of the answer is there."""
        if self.is_probe:
            self._breaker.begun()

    def answered(self) -> None:
        """The answer is whole."""
        self._breaker.answered()
