"""The end of a worker: its runs finish or are given back, within a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from backend.ports.clock import Clock
from backend.runs.live import LiveRuns, Stop

_RESERVE_S = 2.0
_GRACE_S = 1.0


async def drain(
    live: LiveRuns,
    claiming: asyncio.Task[None],
    hurried: asyncio.Event,
    clock: Clock,
    patience_s: float,
) -> None:
    """No run is ours any more, or the time is over.

    Args:
        live: The runs in our hands.
        claiming: Told to end; a claim under way is let finish, or its runs would wait for their
            leases to run out.
        hurried: Once it is set, runs are given back instead of finished.
        clock: Measures the time.
        patience_s: All of it; the last part is kept for giving back what did not finish.
    """
    reserve_s = min(_RESERVE_S, patience_s / 4)
    deadline = clock.monotonic() + patience_s
    await asyncio.wait({claiming}, timeout=reserve_s)
    await _either(live.none_left, hurried, clock, deadline - reserve_s - clock.monotonic())
    for run in live:
        run.stop(Stop.DRAINED)
    await clock.wait(live.none_left, max(reserve_s, deadline - clock.monotonic()))


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Each task has ended, or did not listen when it was told to."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE_S)


async def _either(one: asyncio.Event, other: asyncio.Event, clock: Clock, seconds: float) -> None:
    waits: list[asyncio.Task[Any]] = [
        asyncio.create_task(clock.wait(one, max(0.0, seconds))),
        asyncio.create_task(other.wait()),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await end(waits)
