"""A worker, put together."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from backend.app.connections import open_gateway, wakeups_of
from backend.app.means import Models, open_means
from backend.app.models import open_models
from backend.domain.ids import WorkerId
from backend.errors import DependencyFailed, SettingsInvalid
from backend.integrations.supabase.listener import RUNS
from backend.integrations.supabase.realtime import RealtimeBroadcasts
from backend.ports.clock import Clock, SystemClock
from backend.ports.gateway import Gateway
from backend.runs.announcements import Announcements
from backend.runs.asking import RunLimits
from backend.runs.broadcaster import Broadcaster
from backend.runs.drain import end
from backend.runs.event_source import EventSource
from backend.runs.execution import RunMeans
from backend.runs.loops import repeat
from backend.runs.queue import RunQueue
from backend.runs.worker import Worker, WorkerLimits, WorkerParts
from backend.settings import Settings
from backend.telemetry import logs
from backend.telemetry.liveness import TOUCH_S, LivenessFile

_NAME = "assistants-worker"
_HINT_S = 2.0
_WORKER_SEEN_S = 15.0


def work(settings: Settings) -> None:
    """Answer messages until SIGTERM or SIGINT, then finish or give back what is under way."""
    logs.configure(settings.log_level, folder=settings.log_folder, process="worker")
    asyncio.run(work_with(settings, partial(open_models, settings, SystemClock())))


async def work_with(settings: Settings, models: Models) -> None:
    """Answer messages with these models until a signal comes, also before there is a worker."""
    if opening := asyncio.current_task():
        _on_signal(opening.cancel)
    with suppress(asyncio.CancelledError):
        async with _showing_life(settings), open_worker(settings, models) as worker:
            _on_signal(worker.stop)
            await worker.run()


def _on_signal(callback: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, callback)


@asynccontextmanager
async def open_worker(
    settings: Settings, models: Models, *, near: Sequence[Callable[[str], None]] = ()
) -> AsyncIterator[Worker]:
    """Yield a worker that is ready to run; its connections are closed afterwards.

    Args:
        settings: Of this process.
        models: All of them, by their whole ids; or what makes them, given the way to the database.
        near: Told of each session with new events, such as the streams of the same process.

    Raises:
        Rejected: The project refuses us, or lacks what this release calls.
    """
    clock = SystemClock()
    async with (
        open_gateway(settings, clock, _NAME, size=settings.database_pool) as gateway,
        # Leases must not run out because every connection of the pool waits for a lock.
        open_gateway(settings, clock, _NAME, size=1) as pulse,
        # Announcing waits for a lock of the whole server, and is worth no long wait.
        open_gateway(settings, clock, _NAME, size=1, timeout_s=_HINT_S) as hints,
        AsyncExitStack() as stack,
    ):
        await _require_schema(gateway)
        broadcaster = await _broadcaster(settings, gateway, stack, clock)
        hearers = [*near, broadcaster.hear] if broadcaster else near
        told = Announcements(hints, hearers), broadcaster
        means = await stack.enter_async_context(open_means(settings, models, gateway, clock))
        yield _worker(settings, (gateway, pulse), told, means, clock)


@asynccontextmanager
async def _showing_life(settings: Settings) -> AsyncIterator[None]:
    """Touch the liveness file for as long as the event loop goes on, whatever the database does."""
    if not settings.worker_liveness_file:
        yield
        return
    file, clock = LivenessFile(Path(settings.worker_liveness_file)), SystemClock()
    try:
        file.touch()
    except OSError as error:
        what = type(error).__name__
        raise SettingsInvalid(f"WORKER_LIVENESS_FILE cannot be written: {what}.") from None

    async def touch() -> None:
        file.touch()
        await clock.sleep(TOUCH_S)

    touching = asyncio.create_task(repeat(touch, clock, name="liveness"))
    try:
        yield
    finally:
        await end([touching])


async def _require_schema(gateway: Gateway) -> None:
    """Return quietly unless the project refuses the key, or lacks the functions of this release.

    Raises:
        Rejected: What no waiting cures. A database that is away may come back: that raises nothing.
    """
    with suppress(DependencyFailed):
        await gateway.call("engine.readiness", {"p_max_age_s": _WORKER_SEEN_S})


def _worker(
    settings: Settings,
    gateways: tuple[Gateway, Gateway],
    told: tuple[Announcements, Broadcaster | None],
    means: RunMeans,
    clock: Clock,
) -> Worker:
    name = WorkerId(f"{socket.gethostname()}-{os.getpid()}-{clock.new_id()[:8]}")
    limits = WorkerLimits(
        concurrency=settings.worker_concurrency,
        lease_s=settings.worker_lease_s,
        drain_s=settings.worker_drain_s,
        poll_s=settings.worker_poll_s,
        run=RunLimits(settings.worker_max_rounds, settings.worker_max_text_bytes),
    )
    queue, pulse = (
        RunQueue(gateway, name, lease_s=settings.worker_lease_s, announce=told[0].announce)
        for gateway in gateways
    )
    wakeups = wakeups_of(settings, clock, RUNS)
    return Worker(WorkerParts(name, queue, pulse, means, wakeups, *told), limits, clock)


async def _broadcaster(
    settings: Settings, gateway: Gateway, stack: AsyncExitStack, clock: Clock
) -> Broadcaster | None:
    secret = settings.supabase_secret_key
    if settings.realtime_broadcast == "off" or not (settings.supabase_url and secret):
        return None
    channel = RealtimeBroadcasts(settings.supabase_url, secret.get_secret_value())
    await stack.enter_async_context(channel)
    return Broadcaster(EventSource(gateway), channel, clock)
