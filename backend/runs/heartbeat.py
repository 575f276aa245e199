"""Keeps the leases of this worker's runs and learns what became of them."""

import asyncio

from backend.ports.clock import Clock
from backend.runs.live import LiveRuns, Stop
from backend.runs.queue import RunQueue

_BEATS_PER_LEASE = 3.5
_LOOKS_PER_LEASE = 10


class Heartbeat:
    """One statement a beat for all runs."""

    def __init__(self, queue: RunQueue, live: LiveRuns, clock: Clock, *, lease_s: float) -> None:
        self._queue = queue
        self._live = live
        self._clock = clock
        self._lease_s = lease_s
        self._wanted = asyncio.Event()

    def hurry(self) -> None:
        """The next beat is now: somebody may have cancelled a run of ours."""
        self._wanted.set()

    async def step(self) -> None:
        """Wait for the next beat, then beat."""
        await self._clock.wait(self._wanted, self._lease_s / _BEATS_PER_LEASE)
        self._wanted.clear()
        await self.beat()

    async def beat(self) -> None:
        """Our runs have new leases; those that are cancelled, expired or lost are stopped."""
        held = list(self._live)
        if not held:
            return
        # The lease runs from before the statement: the database cannot have started it earlier.
        lease_until = self._clock.monotonic() + self._lease_s
        verdict = await self._queue.heartbeat([run.claim for run in held])
        reasons = dict.fromkeys(verdict.expired, Stop.EXPIRED)
        reasons |= dict.fromkeys(verdict.cancelled, Stop.CANCELLED)
        reasons |= dict.fromkeys(verdict.lost, Stop.LOST)
        # The same run may have come back under a newer fence meanwhile: only what was asked about.
        busy = set(verdict.busy)
        for run in held:
            why = reasons.get(run.claim.run_id)
            if why is not Stop.LOST and run.claim.run_id not in busy:
                run.lease_until = lease_until
            if why is not None:
                run.stop(why)

    async def watch(self) -> None:
        """Stop, after a short wait, each run whose lease has run out: another may hold it."""
        await self._clock.sleep(self._lease_s / _LOOKS_PER_LEASE)
        now = self._clock.monotonic()
        for run in self._live:
            if run.lease_until <= now:
                run.stop(Stop.LOST)
