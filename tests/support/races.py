"""Forcing two transactions into one order: bounded waits on what the server says, never on time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.worker import Worker

T = TypeVar("T")

_PATIENCE_S = 10.0
_WAIT_LONGER = "alter function engine.hold_run(uuid, text, bigint) set lock_timeout = '10s'"
_IS_BLOCKED = "select cardinality(pg_blocking_pids($1)) > 0"


async def until(chat: Chat, condition: str, *values: Any) -> None:
    """The condition holds; a test that waits too long for it fails."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await chat.admin.fetchval(condition, *values):
            pass


async def blocked(
    chat: Chat, actor: Browser | Worker, action: Coroutine[Any, Any, T]
) -> asyncio.Task[T]:
    """Return the running action of this actor, which by now waits for somebody's lock."""
    # The worker's functions give up after half a second, which a busy machine needs for less.
    await chat.admin.execute(_WAIT_LONGER)
    pid = await actor.line.pid()
    task = asyncio.create_task(action)
    await until(chat, _IS_BLOCKED, pid)
    return task


@asynccontextmanager
async def session_held(chat: Chat, session: UUID | str) -> AsyncIterator[None]:
    """Hold the session's lock: whoever needs it queues up, and gets it in that order."""
    connection = await chat.line().open()
    async with connection.transaction():
        await connection.execute(
            "select from public.chat_sessions where id = $1 for no key update", session
        )
        yield
