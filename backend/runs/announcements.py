"""Tells streams which sessions have new events."""

import asyncio
from collections.abc import Callable, Sequence

from backend.domain.ids import SessionId
from backend.ports.gateway import Gateway


class Announcements:
    """Only hints, sent after what they announce is stored: who misses one reads a little later."""

    def __init__(self, gateway: Gateway, near: Sequence[Callable[[str], None]] = ()) -> None:
        """Nothing is announced yet.

        Args:
            gateway: The way to other processes.
            near: Listeners in this process, which need not wait for the database.
        """
        self._gateway = gateway
        self._near = near
        self._waiting: set[SessionId] = set()
        self._something_waits = asyncio.Event()

    def announce(self, session_id: SessionId) -> None:
        """The session has new events."""
        for hear in self._near:
            hear(session_id)
        self._waiting.add(session_id)
        self._something_waits.set()

    async def step(self) -> None:
        """Wait for something to tell, then tell all of it; what cannot be told is dropped."""
        await self._something_waits.wait()
        await self.flush()

    async def flush(self) -> None:
        """Tell what waits."""
        self._something_waits.clear()
        waiting, self._waiting = self._waiting, set()
        if waiting:
            await self._gateway.call("engine.announce_events", {"p_sessions": sorted(waiting)})
