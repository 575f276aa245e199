"""Claims runs while slots are free, and drains at the end."""

import asyncio
from collections.abc import Coroutine
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import structlog

from backend.domain.ids import MessageId, WorkerId
from backend.errors import AssistantsError
from backend.ports.clock import Clock
from backend.ports.wakeups import CANCEL, Wakeups
from backend.runs.announcements import Announcements
from backend.runs.asking import RunLimits
from backend.runs.broadcaster import Broadcaster
from backend.runs.drain import drain, end
from backend.runs.execution import Execution, RunMeans
from backend.runs.flusher import Flusher
from backend.runs.heartbeat import Heartbeat
from backend.runs.live import LiveRun, LiveRuns
from backend.runs.loops import repeat
from backend.runs.polling import PollSchedule
from backend.runs.queue import RunQueue
from backend.telemetry import names

_log = structlog.get_logger()
_HOUSEKEEPING_S = 60.0
_REPORT_S = 5.0
_PURGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much one worker does, and how patiently."""

    run: RunLimits
    concurrency: int
    lease_s: float
    drain_s: float
    """From the first signal until every run is finished or given back."""
    poll_s: float


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker is made of."""

    name: WorkerId
    queue: RunQueue
    pulse: RunQueue
    """The same queue on a connection of its own, for the leases."""
    means: RunMeans
    wakeups: Wakeups
    announcements: Announcements
    broadcaster: Broadcaster | None = None
    """Where browsers follow their sessions by another service than ours."""


class Worker:
    """Holds up to `concurrency` runs at a time until it is told to stop."""

    def __init__(self, parts: WorkerParts, limits: WorkerLimits, clock: Clock) -> None:
        self._parts = parts
        self._limits = limits
        self._clock = clock
        self._live = LiveRuns()
        self._flusher = Flusher(parts.queue, clock)
        self._heartbeat = Heartbeat(parts.pulse, self._live, clock, lease_s=limits.lease_s)
        self._execution = Execution(parts.queue, parts.means, self._flusher, clock, limits.run)
        self._schedule = PollSchedule(limits.poll_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered = True
        self._woken = asyncio.Event()
        self._deaf = asyncio.Event()
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()

    def wake(self) -> None:
        """Look for runs now: somebody says that there are some."""
        self._ready()

    def stop(self) -> None:
        """Claim nothing more and let the runs finish; a second time: give them back at once."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped, then drain."""
        _log.info(names.WORKER_STARTED, worker=self._parts.name)
        claiming = asyncio.create_task(
            repeat(self._claim, self._clock, name="claim", until=self._stopping.is_set)
        )
        others = [
            asyncio.create_task(loop)
            for loop in (
                repeat(self._heartbeat.step, self._clock, name="heartbeat"),
                repeat(self._heartbeat.watch, self._clock, name="watch"),
                repeat(self._flusher.step, self._clock, name="flush"),
                repeat(self._keep_house, self._clock, name="housekeeping"),
                repeat(self._report, self._clock, name="report"),
                repeat(self._listen, self._clock, name="listen", until=self._deaf.is_set),
                repeat(self._parts.announcements.step, self._clock, name="announce"),
                *self._broadcasting(),
            )
        ]
        try:
            await self._stopping.wait()
            _log.info(names.WORKER_STOPPING, worker=self._parts.name, runs=len(self._live))
            patience_s = self._limits.drain_s
            await drain(self._live, claiming, self._hurried, self._clock, patience_s)
        finally:
            await end([claiming, *others, *self._tasks])
            with suppress(AssistantsError):
                await self._parts.announcements.flush()
                await self._parts.pulse.dismiss()
            if self._parts.broadcaster:
                await self._parts.broadcaster.flush()
            _log.info(names.WORKER_STOPPED, worker=self._parts.name)

    def _broadcasting(self) -> list[Coroutine[None, None, None]]:
        broadcaster = self._parts.broadcaster
        return [repeat(broadcaster.step, self._clock, name="broadcast")] if broadcaster else []

    async def _listen(self) -> None:
        await self._parts.wakeups.deliver(self._wake)
        self._deaf.set()

    def _wake(self, payload: str) -> None:
        if not payload.startswith(CANCEL):
            self._ready()
        elif self._live.get(payload.removeprefix(CANCEL)):
            # Anyone who may log in can send a notification: the heartbeat knows the truth.
            self._heartbeat.hurry()

    def _ready(self) -> None:
        self._schedule.woken()
        self._woken.set()

    async def _claim(self) -> None:
        self._woken.clear()
        free = self._limits.concurrency - len(self._live)
        if free > 0:
            lease_until = self._clock.monotonic() + self._limits.lease_s
            answered, self._answered = self._answered, False
            claims = await self._parts.queue.claim(free, with_histories=answered)
            self._answered = True
            for claim, history in claims:
                message_id = MessageId(self._clock.new_id())
                self._start(
                    LiveRun(claim, message_id=message_id, lease_until=lease_until, history=history)
                )
        # Workers that were started together shall not ask together for ever.
        wait_s = self._schedule.next_wait_s() * (0.8 + 0.4 * self._clock.random())
        await self._clock.wait(self._woken, wait_s)

    def _start(self, run: LiveRun) -> None:
        self._live.add(run)
        task = asyncio.create_task(self._execute(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, run: LiveRun) -> None:
        claim = run.claim
        _log.info(names.RUN_CLAIMED, run_id=claim.run_id, fence=claim.fence, model=claim.model)
        broadcaster = self._parts.broadcaster
        try:
            with broadcaster.follow(claim) if broadcaster else nullcontext():
                await self._execution.run(run)
        finally:
            self._live.discard(run)
            # The session's next run may be ready now, and a slot is free.
            self._ready()

    async def _report(self) -> None:
        await self._parts.pulse.report()
        await self._clock.sleep(_REPORT_S)

    async def _keep_house(self) -> None:
        await self._clock.sleep(_HOUSEKEEPING_S * (0.5 + self._clock.random()))
        counts = await self._parts.queue.purge(_PURGE_LIMIT)
        _log.info(names.HOUSEKEEPING_DONE, **counts)
