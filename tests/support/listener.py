"""Who hears notifications."""

import asyncio
from typing import Any


class Listener:
    """Hears what the database says on a channel."""

    def __init__(self, connection: Any, channel: str) -> None:
        self._connection = connection
        self._channel = channel
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    async def start(self) -> None:
        await self._connection.add_listener(self._channel, self._hear)

    async def heard(self) -> list[str]:
        """Return everything that was sent before this call."""
        # Notifications come before the answer to the next statement.
        await self._connection.execute("select 1")
        return [self._heard.get_nowait() for _ in range(self._heard.qsize())]

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._heard.put_nowait(payload)
