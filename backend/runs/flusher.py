"""Sends the events of all runs, one statement a tick."""

import asyncio
from typing import TypeAlias

from backend.domain.json_values import JsonObject
from backend.errors import Rejected
from backend.ports.clock import Clock
from backend.runs.live import LiveRun, Stop
from backend.runs.queue import RunQueue

TICK_S = 0.05
_Batch: TypeAlias = list[tuple[LiveRun, list[JsonObject]]]


class Flusher:
    """Collects what runs say during a tick; a run that ends within one never comes here."""

    def __init__(self, queue: RunQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._waiting: set[LiveRun] = set()
        self._sending: set[LiveRun] = set()
        self._something_waits = asyncio.Event()
        self._urgent = asyncio.Event()
        self._sent = asyncio.Event()

    def mark(self, run: LiveRun, *, urgent: bool = False) -> None:
        """The run's events are sent with the next tick, or at once where somebody waits for them."""
        self._waiting.add(run)
        self._something_waits.set()
        if urgent:
            self._urgent.set()

    async def step(self) -> None:
        """Wait for something to send, then for the end of the tick, then send."""
        await self._something_waits.wait()
        await self._clock.wait(self._urgent, TICK_S)
        await self.flush()

    async def settle(self, run: LiveRun) -> None:
        """Nothing of this run is on its way any more; what waits is the caller's to take."""
        self._waiting.discard(run)
        while run in self._sending:
            await self._sent.wait()

    async def flush(self) -> None:
        """Send what waits now; what could not be sent waits again."""
        self._something_waits.clear()
        self._urgent.clear()
        # What an attempt says that lost its run would mix with the words of the next one.
        ours = [run for run in self._waiting if run.stopped is not Stop.LOST]
        self._waiting.clear()
        taken = [(run, run.log.take()) for run in ours]
        batch = [(run, events) for run, events in taken if events]
        if not batch:
            return
        self._sending = {run for run, _ in batch}
        self._sent.clear()
        try:
            await self._send_each(batch)
        except BaseException:
            self._put_back(batch)
            raise
        finally:
            self._sending = set()
            self._sent.set()

    async def _send_each(self, batch: _Batch) -> None:
        try:
            await self._send(batch)
        except Rejected:
            # One run's events are refused for good: that run must not keep the others silent.
            for one in batch:
                try:
                    await self._send([one])
                except Rejected:
                    one[0].stop(Stop.REFUSED)

    async def _send(self, batch: _Batch) -> None:
        flushed = await self._queue.flush([(run.claim, events) for run, events in batch])
        for run, _ in batch:
            if run.claim.run_id in flushed.lost:
                run.stop(Stop.LOST)
        self._put_back([one for one in batch if one[0].claim.run_id in flushed.busy])

    def _put_back(self, batch: _Batch) -> None:
        for run, events in batch:
            run.log.put_back(events)
            self.mark(run)
