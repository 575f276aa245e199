"""A provider that is asked again where that may help and nobody has heard anything yet."""

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count

import structlog

from backend.domain.asker import Asker
from backend.domain.backoff import backoff_s
from backend.errors import (
    AssistantsError,
    ModelRateLimited,
    ModelResting,
    ModelTimedOut,
    ModelUnavailable,
)
from backend.ports.clock import Clock
from backend.ports.models import Embeddings, LLMProvider, ModelEvent, ModelRequest
from backend.ports.replies import Streamed
from backend.telemetry.names import MODEL_RETRIED

_log = structlog.get_logger()
# Both have taken their time already, or would only take more of it.
_NOT_AGAIN = (ModelResting, ModelTimedOut)


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long a run keeps its slot while it waits for another try."""

    attempts: int = 3
    total_s: float = 5.0
    """Of all waits for one call."""
    base_s: float = 0.25
    limit_s: float = 2.0


class Retried(Streamed):
    """Tries a few times within a few seconds; longer waits give the slot back."""

    def __init__(self, provider: LLMProvider, clock: Clock, limits: RetryLimits) -> None:
        self._provider = provider
        self._clock = clock
        self._limits = limits

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer; once it has begun nothing is tried again."""
        waits = _Waits(self._limits, self._clock)
        for attempt in count():
            is_silent = True
            try:
                async with aclosing(self._provider.stream(request)) as events:
                    async for event in events:
                        is_silent = False
                        yield event
            except AssistantsError as error:
                if not is_silent:
                    raise
                await waits.after(error, attempt, request.model)
            else:
                return

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors."""
        waits = _Waits(self._limits, self._clock)
        for attempt in count():
            try:
                return await self._provider.embed(texts, model=model, asker=asker)
            except AssistantsError as error:
                await waits.after(error, attempt, model)
        raise AssertionError("count() does not end")


class _Waits:
    """The waits of one call."""

    def __init__(self, limits: RetryLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._left_s = limits.total_s
        self._failed: AssistantsError | None = None

    def after(self, error: AssistantsError, attempt: int, model: str) -> Awaitable[None]:
        """Return the wait until the next try; an error that no further try follows is raised."""
        if isinstance(error, ModelResting) and self._failed:
            # Of this call's own failures, too: for those it need not be asked again.
            raise self._failed from None
        self._failed = error
        wait_s = self._wait_s(error, attempt)
        if wait_s is None or attempt + 1 >= self._limits.attempts or wait_s > self._left_s:
            raise error
        self._left_s -= wait_s
        _log.info(MODEL_RETRIED, model=model, code=error.code, wait_s=round(wait_s, 2))
        return self._clock.sleep(wait_s)

    def _wait_s(self, error: AssistantsError, attempt: int) -> float | None:
        if not error.retryable or isinstance(error, _NOT_AGAIN):
            return None
        if isinstance(error, ModelRateLimited) and error.has_turn:
            return None
        jitter = self._clock.random()
        limits = self._limits
        wait_s = backoff_s(attempt, base_s=limits.base_s, limit_s=limits.limit_s, jitter=jitter)
        asked_s = error.retry_after_s if isinstance(error, ModelUnavailable) else None
        # Not before it asked for; who comes a little later comes not with all others.
        return wait_s if asked_s is None else asked_s + min(wait_s, 0.1 * asked_s + 0.05)
