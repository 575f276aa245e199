"""What a browser does with the tables, as the Data API does it for a browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from tests.support.connections import Line
from tests.support.identities import Identity, assume


class Browser:
    """One identity on a connection of its own; each call is a transaction."""

    def __init__(self, line: Line, who: Identity) -> None:
        self.line = line
        self.who = who

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Yield the connection inside a transaction of this identity."""
        connection = await self.line.open()
        async with connection.transaction():
            await assume(connection, self.who)
            yield connection

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of one statement."""
        async with self.transaction() as connection:
            return list(await connection.fetch(sql, *values))

    async def value(self, sql: str, *values: Any) -> Any:
        """Return the first value of the first row."""
        async with self.transaction() as connection:
            return await connection.fetchval(sql, *values)

    async def change(self, sql: str, *values: Any) -> int:
        """Return how many rows the statement wrote."""
        async with self.transaction() as connection:
            return int((await connection.execute(sql, *values)).split()[-1])

    async def insert(self, table: str, **columns: Any) -> Any:
        """Return the row that was written, whole."""
        numbers = ", ".join(f"${number}" for number, _ in enumerate(columns, 1))
        sql = f"insert into public.{table} ({', '.join(columns)}) values ({numbers}) returning *"
        return (await self.fetch(sql, *columns.values()))[0]

    async def start_session(self, title: str = "Dungeon", **columns: Any) -> UUID:
        """Return the id of a new session."""
        row = await self.insert("chat_sessions", title=title, **columns)
        return UUID(str(row["id"]))

    async def say(self, session: UUID, content: Any = "Hello", **columns: Any) -> UUID:
        """Return the id of a new message."""
        row = await self.insert("messages", session_id=session, content=content, **columns)
        return UUID(str(row["id"]))

    async def say_all(self, session: UUID, *texts: str) -> list[UUID]:
        """Return the ids of messages that one statement wrote, in its order."""
        rows = await self.fetch(
            "insert into public.messages (session_id, content)"
            " select $1, to_jsonb(t) from unnest($2::text[]) with ordinality as t (t, no)"
            " order by no returning id",
            session,
            list(texts),
        )
        return [row["id"] for row in rows]

    async def delete(self, table: str, *ids: UUID) -> int:
        """Return how many of these rows were deleted."""
        return await self.change(f"delete from public.{table} where id = any($1)", list(ids))

    async def cancel(self, run: UUID) -> Any:
        """Return the run after asking for its cancellation."""
        return (await self.fetch("select * from public.cancel_run($1)", run))[0]

    async def regenerate(self, message: UUID) -> UUID:
        """Return the id of the run that answers the message again."""
        return UUID(str(await self.value("select id from public.regenerate($1)", message)))

    async def submit(self, run: UUID, outputs: Any) -> Any:
        """Return the run after its calls got these outputs."""
        rows = await self.fetch("select * from public.submit_tool_outputs($1, $2)", run, outputs)
        return rows[0]

    async def read_stream(self, session: UUID | str, last_event_id: str | None = None) -> Any:
        """Return what the session has streamed behind the event."""
        return await self.value("select public.read_stream($1, $2)", session, last_event_id)

    async def search(self, query: str | None, **options: Any) -> list[UUID]:
        """Return the ids of the messages that were found, newest first."""
        named = "".join(f", {name} => ${no}" for no, name in enumerate(options, 2))
        sql = f"select id from public.search_messages($1{named})"
        return [row["id"] for row in await self.fetch(sql, query, *options.values())]
