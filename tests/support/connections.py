"""Connections that are opened when they are first used and closed with their test."""

import json
from contextlib import AsyncExitStack
from typing import Any, Self

import asyncpg

# A test that waits for a lock which nobody gives back fails instead of hanging.
_PATIENCE = {"lock_timeout": "5s", "statement_timeout": "30s"}


class BorrowedUrl(str):
    """A URL that stands for a connection which is open already and stays so."""

    __slots__ = ("connection",)
    connection: Any

    def __new__(cls, connection: Any) -> Self:
        made = super().__new__(cls, "borrowed")
        made.connection = connection
        return made


async def connect(url: str, **settings: str) -> Any:
    """Return a connection whose jsonb values are Python values."""
    if isinstance(url, BorrowedUrl):
        return url.connection
    connection = await asyncpg.connect(url, server_settings={**_PATIENCE, **settings})
    return await _with_json(connection)


async def connect_forgetful(url: str) -> Any:
    """Return a connection that plans each statement anew, whatever has changed meanwhile."""
    return await _with_json(
        await asyncpg.connect(url, statement_cache_size=0, server_settings=_PATIENCE)
    )


async def _with_json(connection: Any) -> Any:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
    return connection


class Line:
    """One connection: not yet open, or open until the stack unwinds."""

    def __init__(self, stack: AsyncExitStack, url: str, **settings: str) -> None:
        self._stack = stack
        self._url = url
        self._settings = settings
        self._connection: Any = None

    async def open(self) -> Any:
        """Return the connection."""
        if self._connection is None:
            self._connection = await connect(self._url, **self._settings)
            self._stack.push_async_callback(self._connection.close)
        return self._connection

    async def pid(self) -> int:
        """Return the process id of its backend."""
        return int((await self.open()).get_server_pid())
