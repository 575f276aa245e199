"""A clock on which every wait is over at once, and has taken its time."""

import asyncio

from backend.ports.clock import SystemClock


class HastyClock(SystemClock):
    """Remembers what was waited for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def random(self) -> float:
        return 0.5
