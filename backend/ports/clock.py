"""Time, sleep, randomness and new ids: the seam through which tests own them."""

import asyncio
import random
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """All that makes two executions of the same code differ."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; 0 lets the other tasks run first."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Return true as soon as the event is set, or false after so many seconds."""
        ...

    def random(self) -> float:
        """Return a number from 0 up to but not including 1."""
        ...

    def new_id(self) -> str:
        """Return the text of a new uuid."""
        ...


class SystemClock:
    """The machine's own; lives beside its port because it has nothing to integrate with."""

    def monotonic(self) -> float:  # noqa: D102 - the port says it
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:  # noqa: D102
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:  # noqa: D102
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True

    def random(self) -> float:  # noqa: D102
        return random.random()  # noqa: S311 - spreads retries, hides nothing

    def new_id(self) -> str:  # noqa: D102
        return str(uuid.uuid4())
