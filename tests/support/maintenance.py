"""One login that stays open, for the statements that every test needs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import asyncpg

_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)


class Maintenance:
    """Runs single statements as the superuser; a program for each would take as long as they do."""

    def __init__(self, url: Callable[[], str]) -> None:
        """Nothing is connected yet.

        Args:
            url: Of the server, which may have been started again at another port.
        """
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._runner = asyncio.Runner()
        # A thread of its own: this one may belong to a test's event loop.
        self._thread = ThreadPoolExecutor(1)

    def execute(self, sql: str) -> None:
        """The statement is done."""
        self._thread.submit(self._run, sql).result()

    def close(self) -> None:
        """The login is gone."""
        self._thread.submit(self._leave).result()
        self._thread.shutdown()

    def _run(self, sql: str) -> None:
        try:
            self._runner.run(self._once(sql))
        except _LOST:
            # A test may have restarted the server.
            self._connection = None
            self._runner.run(self._once(sql))

    async def _once(self, sql: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url())
        await self._connection.execute(sql)

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._runner.close()
