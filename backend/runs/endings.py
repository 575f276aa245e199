"""The last word on a run: finished, failed or given back, under the fence."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

import structlog

from backend.domain.backoff import backoff_s
from backend.domain.runs import Outcome
from backend.errors import DatabaseContended, DatabaseUnavailable
from backend.ports.clock import Clock
from backend.runs.failures import Failure
from backend.runs.flusher import Flusher
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.queue import Events, RunQueue
from backend.telemetry import names

T = TypeVar("T")
_log = structlog.get_logger()
_BASE_S = 0.02
_LIMIT_S = 1.0


class Endings:
    """Writes how runs end, with the events that nobody has sent yet."""

    def __init__(self, queue: RunQueue, flusher: Flusher, clock: Clock) -> None:
        self._queue = queue
        self._flusher = flusher
        self._clock = clock

    async def finish(self, run: LiveRun, outcome: Outcome) -> None:
        """The run has ended with its one outcome, or it is another's by now."""
        await self._flusher.settle(run)
        await self._finish(run, outcome, run.log.take())

    async def _finish(self, run: LiveRun, outcome: Outcome, events: Events) -> None:
        answer = await self.while_leased(
            run, lambda: self._queue.finish(run.claim, outcome, run.text, run.spent, events)
        )
        _log.info(
            names.RUN_ENDED if answer["state"] == "stored" else names.RUN_LOST,
            run_id=run.claim.run_id,
            status=answer.get("status"),
            reason=outcome.reason,
            code=outcome.error,
            state=answer["state"],
        )

    async def fail(self, run: LiveRun, failure: Failure) -> None:
        """The run has failed: for now, when another attempt may help, else for good."""
        if not failure.retryable:
            await self.finish(run, Outcome("failed", None, failure.code))
            return
        if failure.is_turn:
            await self._defer(run, failure)
            return
        await self._flusher.settle(run)
        events = run.log.take()
        state = await self.while_leased(
            run,
            lambda: self._queue.fail(
                run.claim, failure.code, failure.retry_after_s, run.text, run.spent, events
            ),
        )
        _log.warning(names.RUN_RETRIED, run_id=run.claim.run_id, code=failure.code, state=state)

    async def stop(self, run: LiveRun, why: Stop) -> None:
        """The run has ended as cancelled or expired, or is given back, or was another's anyway."""
        match why:
            case Stop.CANCELLED:
                await self.finish(run, Outcome("cancelled"))
            case Stop.EXPIRED:
                await self.finish(run, Outcome("expired", None, "expired"))
            case Stop.OVERLONG:
                await self.finish(run, Outcome("incomplete", "max_output"))
            case Stop.DRAINED:
                await self._release(run)
            case Stop.LOST:
                _log.info(names.RUN_LOST, run_id=run.claim.run_id)
            case Stop.REFUSED:
                # The lease runs out, and whoever takes the run back counts a failure.
                _log.error(names.RUN_BROKE, run_id=run.claim.run_id, error=why.value)

    async def while_leased(self, run: LiveRun, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the call returns, tried again over lost connections while the run is ours.

        A call that took effect although its answer was lost says `lost` the next time.

        Raises:
            RunStopped: The lease will have run out before the next try.
        """
        for attempt in count():
            try:
                return await call()
            except (DatabaseUnavailable, DatabaseContended):
                wait_s = backoff_s(
                    attempt, base_s=_BASE_S, limit_s=_LIMIT_S, jitter=self._clock.random()
                )
                if self._clock.monotonic() + wait_s >= run.lease_until:
                    raise RunStopped(Stop.LOST) from None
                await self._clock.sleep(wait_s)
        raise AssertionError("count() does not end")

    async def _defer(self, run: LiveRun, failure: Failure) -> None:
        await self._flusher.settle(run)
        events, after_s = run.log.take(), failure.retry_after_s
        state = await self.while_leased(run, lambda: self._queue.defer(run.claim, after_s, events))
        if state == "overdue":
            await self._finish(run, Outcome("failed", None, failure.code), events)
        else:
            _log.info(names.RUN_DEFERRED, run_id=run.claim.run_id, after_s=after_s, state=state)

    async def _release(self, run: LiveRun) -> None:
        # What waits to be sent belongs to a text that the next attempt discards.
        await self._flusher.settle(run)
        state = await self.while_leased(run, lambda: self._queue.release(run.claim))
        _log.info(names.RUN_RELEASED, run_id=run.claim.run_id, state=state)
