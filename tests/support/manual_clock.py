"""A clock that a test owns: time passes when the test says so."""

import asyncio
import heapq
from itertools import count


class ManualClock:
    """Sleepers wake in the order of their times while the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._ids = count(1)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), waiter))
        await waiter

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        tasks = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.sleep(seconds))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return event.is_set()

    def random(self) -> float:
        return 0.5

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012}"

    async def advance(self, seconds: float) -> None:
        """So much time has passed, and whatever was due has happened."""
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    """Every task has gone as far as it can without time passing."""
    for _ in range(30):
        await asyncio.sleep(0)
