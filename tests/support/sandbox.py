"""A project inside one open transaction: everybody shares a connection, and nothing is kept."""

import asyncio
import itertools
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from tests.support.chat import Chat
from tests.support.connections import BorrowedUrl, Line

if TYPE_CHECKING:
    from tests.support.cluster import Database

_NOBODY = "set local session authorization default; set local role none; set local request.jwt.claims = ''"
# What a commit would find out.
_CHECK = "set constraints all immediate; set constraints all deferred"
_NAMES = (f"seat_{number}" for number in itertools.count(1))


class _Turn:
    """A savepoint that stands for a transaction of the seat."""

    def __init__(self, seat: "Seat") -> None:
        self._seat = seat
        self._name = next(_NAMES)
        self._is_outermost = False

    async def start(self) -> None:
        await self._seat.settle()
        self._is_outermost = self._seat.depth == 0
        sql = f"savepoint {self._name}"
        if self._is_outermost:
            sql += f"; {_NOBODY}; {self._seat.becomes}"
        await self._seat.connection.execute(sql)
        self._seat.depth += 1

    async def commit(self) -> None:
        self._seat.depth -= 1
        sql = f"release savepoint {self._name}"
        if self._is_outermost:
            sql = f"{_CHECK}; {sql}; {_NOBODY}"
        try:
            await self._seat.connection.execute(sql)
        except BaseException:
            await self._undo()
            raise

    async def rollback(self) -> None:
        self._seat.depth -= 1
        await self._undo()

    async def _undo(self) -> None:
        name = self._name
        await self._seat.connection.execute(
            f"rollback to savepoint {name}; release savepoint {name}"
        )

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, kind: object, *_: object) -> None:
        await (self.commit() if kind is None else self.rollback())


class Seat:
    """The shared connection as one login has it; a statement of its own is a transaction."""

    def __init__(self, connection: Any, becomes: str, pending: list[str]) -> None:
        self.connection = connection
        self.becomes = becomes
        self.depth = 0
        self._pending = pending

    async def settle(self) -> None:
        """What a coroutine gave its database to execute has been executed."""
        while self._pending:
            await self.connection.execute(self._pending.pop(0))

    def transaction(self) -> _Turn:
        """Return a transaction that another one contains."""
        return _Turn(self)

    async def execute(self, sql: str, *values: Any) -> Any:
        """Return the status of the last statement."""
        return await self._do("execute", sql, *values)

    async def fetch(self, sql: str, *values: Any) -> Any:
        """Return the rows."""
        return await self._do("fetch", sql, *values)

    async def fetchrow(self, sql: str, *values: Any) -> Any:
        """Return the first row."""
        return await self._do("fetchrow", sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        """Return the first value of the first row."""
        return await self._do("fetchval", sql, *values)

    async def close(self) -> None:
        """Stay open: others sit here too."""

    async def _do(self, method: str, sql: str, *values: Any) -> Any:
        call = getattr(self.connection, method)
        if self.depth > 0:
            return await call(sql, *values)
        async with self.transaction():
            return await call(sql, *values)


class _SeatLine(Line):
    """A line whose connection is a seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    async def open(self) -> Any:
        return self._seat


class SandboxDatabase:
    """The database of the transaction, also for tests that ask it from another thread."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._pending: list[str] = []
        self._thread = threading.get_ident()

    def url(self, role: str = "postgres") -> str:
        """Return what `connect` takes for this login."""
        return BorrowedUrl(self.seat(_login(role)))

    def seat(self, becomes: str) -> Seat:
        """Return a seat whose transactions start with this statement."""
        return Seat(self._connection, becomes, self._pending)

    def execute(self, sql: str) -> str:
        """Return what psql would print for this statement, run as the superuser.

        For a coroutine it is run before the next transaction, and prints nothing.
        """
        if threading.get_ident() == self._thread:
            self._pending.append(sql)
            return ""
        rows = asyncio.run_coroutine_threadsafe(self._connection.fetch(sql), self._loop).result()
        return "\n".join("|".join(_as_text(value) for value in row) for row in rows)


class SandboxChat(Chat):
    """A project whose people all sit on one connection."""

    def __init__(self, connection: Any) -> None:
        self._sandbox = SandboxDatabase(connection)
        admin = self._sandbox.seat("")
        super().__init__(cast("Database", self._sandbox), AsyncExitStack(), admin)

    def line(self, login: str = "supabase_admin", **settings: str) -> Line:
        """Return one more seat."""
        role = settings.get("role")
        becomes = _login(login) if role is None else f"set local role {role}"
        return _SeatLine(self._sandbox.seat(becomes))


def _login(role: str) -> str:
    # The superuser's own connection: it is somebody already.
    return "" if role == "supabase_admin" else f"set local session authorization {role}"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, list):
        return "{" + ",".join(_as_text(item) for item in value) + "}"
    return value.decode() if isinstance(value, bytes) else str(value)
