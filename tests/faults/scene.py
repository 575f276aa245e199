"""What the fault tests share: sessions, scripted messages, waits and the final examination."""

import json
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from tests.support.chat import Chat, open_chat
from tests.support.oracles import assert_all_ended, assert_sound
from tests.support.processes import WorkerProcess, Workshop, until


def script(**keys: Any) -> str:
    """Return a message that tells the offline model what to do."""
    return f"offline: {json.dumps(keys)}"


BOTH_WAYS = pytest.mark.parametrize("way", ["with a login", "over the Data API"])
"""For what must hold however workers reach the database."""

SLOW = script(deltas=100, delay_ms=20)
"""Two seconds of words: long enough for anything to happen in the middle."""


class Scene:
    """A project, its users and its workers."""

    def __init__(self, chat: Chat, workshop: Workshop, stack: AsyncExitStack) -> None:
        self.chat = chat
        self.workshop = workshop
        self._stack = stack

    @property
    def admin(self) -> Any:
        return self.chat.admin

    async def ask(self, *texts: str, **session: Any) -> UUID:
        """Return a new session of Ada's in which she has said these, one after the other."""
        made = await self.chat.ada.start_session(**session)
        for text in texts:
            await self.chat.ada.say(made, text)
        return made

    async def count(self, condition: str) -> int:
        """Return how many runs are so."""
        sql = f"select count(*) from engine.runs where {condition}"
        return int(await self.admin.fetchval(sql))

    async def until_count(self, condition: str, wanted: int = 1, within_s: float = 30) -> None:
        """At least so many runs are so."""

        async def holds() -> bool:
            return await self.count(condition) >= wanted

        await until(holds, within_s)

    async def until_streaming(self, wanted: int = 1) -> None:
        """So many runs have streamed text."""

        async def holds() -> bool:
            sql = "select count(distinct run_id) from engine.events where type = 'message.delta'"
            return bool(await self.admin.fetchval(sql) >= wanted)

        await until(holds)

    async def streamed(self, run: UUID) -> str:
        """Return the text that the run has streamed so far."""
        sql = (
            "select string_agg(data ->> 'text', '' order by seq) from engine.events"
            " where run_id = $1 and type = 'message.delta'"
        )
        return str(await self.admin.fetchval(sql, run))

    async def until_logged(self, worker: WorkerProcess, event: str, times: int = 1) -> None:
        """The worker has written this to its log, so often."""

        async def holds() -> bool:
            return len(worker.logged(event)) >= times

        await until(holds)

    async def reconnect(self) -> None:
        """The test's own connections are back after a restart of the server."""
        self.chat = await open_chat(self.chat.database, self._stack)

    async def until_idle(self, within_s: float = 60) -> None:
        """No run is open."""

        async def holds() -> bool:
            return await self.count("ended_at is null") == 0

        await until(holds, within_s)

    async def assert_sound(self) -> None:
        """All runs have ended, and whatever happened left no trace."""
        await assert_all_ended(self.admin)
        await assert_sound(self.admin)

    async def outcomes(self) -> list[tuple[str, str | None, str | None]]:
        """Return status, reason and error of all outcomes, in their order."""
        rows = await self.admin.fetch(
            "select status, reason, error from public.messages"
            " where run_id is not null and ordinal is null order by position"
        )
        return [(row["status"], row["reason"], row["error"]) for row in rows]

    async def fences(self) -> list[int]:
        """Return how often each run was claimed, in the order of the messages."""
        rows = await self.admin.fetch("select fence from engine.runs order by queued_no")
        return [row["fence"] for row in rows]
