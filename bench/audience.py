"""Readers on every session, cut off at random, and webhooks that all come three times."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from bench.project import Project
from bench.services import Service, SignIn
from tests.support.pg_net import PgNet, Weather, install_pg_net, install_vault, pumping
from tests.support.stream_reader import StreamReader, Transcript

_WEBHOOK_SECRET = "whsec_" + "c2VjcmV0" * 6
_KILL_EVERY_S = 4.0
_CUT_AFTER = (1, 25)
_RUNS = "select id::text from engine.runs where session_id = $1"
_BEFORE = """
select r.id::text as run from engine.runs as r
inner join engine.runs as last on last.id = $1::uuid
where r.session_id = last.session_id and r.queued_no <= last.queued_no
"""
_STORED = """
select r.id::text as run, r.status, coalesce((
    select string_agg(p ->> 'text', '' order by no)
    from jsonb_array_elements(m.content) with ordinality as c (p, no)
    where p ->> 'type' = 'text'), '') as words
from engine.runs as r
inner join public.messages as m on m.run_id = r.id and m.ordinal is null
where r.session_id = $1
"""


class Audience:
    """Who reads, at two services of which one is killed every few seconds."""

    def __init__(
        self, project: Project, services: list[Service], users: SignIn, net: PgNet, rows: Any
    ) -> None:
        self._net = net
        self._rows = rows
        self._reading = asyncio.Lock()
        self.transcripts: dict[Any, Transcript] = {}
        self.cuts = 0
        self.kills = 0
        self.read_as_rows = 0
        self._project = project
        self._services = services
        self._users = users

    async def read(self, session: Any, client: httpx.AsyncClient) -> None:
        """Read the session for ever, hanging up again and again."""
        heard = self.transcripts[session] = Transcript()
        while True:
            service = random.choice(self._services)
            client.base_url = httpx.URL(service.url)
            reader = StreamReader(client, session, self._users.token)
            with suppress(httpx.TransportError):
                await self._listen(reader, heard)
            self.cuts += 1
            await asyncio.sleep(random.random() / 20)

    async def kill_services(self) -> None:
        """Kill one service, start it again, then the other one, for ever."""
        while True:
            for service in self._services:
                await asyncio.sleep(_KILL_EVERY_S)
                service.kill()
                self.kills += 1
                await service.start()

    async def finish(self) -> dict[str, int]:
        """Return what the readers have, compared with what is stored, once they had time to hear."""
        for _ in range(600):
            if not await self._behind():
                break
            await asyncio.sleep(0.1)
        different = missing = events = 0
        for session, heard in self.transcripts.items():
            events += len(heard.raw)
            for row in await self._project.admin.fetch(_STORED, session):
                ending = heard.endings.get(row["run"])
                missing += ending is None
                if ending:
                    different += heard.texts.get(ending["message_id"], "") != row["words"]
        return {
            "readers": len(self.transcripts),
            "reader_cuts": self.cuts,
            "webhooks_sent": len(self._net.statuses),
            "webhooks_taken": self._net.statuses.count(202),
            "service_kills": self.kills,
            "events_heard": events,
            "answers_read_as_rows": self.read_as_rows,
            "endings_not_heard": missing,
            "texts_heard_otherwise": different,
        }

    async def _behind(self) -> bool:
        for session, heard in self.transcripts.items():
            runs = {row["id"] for row in await self._project.admin.fetch(_RUNS, session)}
            if runs - set(heard.endings):
                return True
        return False

    async def _read_rows(self, heard: Transcript) -> None:
        """What ended before a reader's first event stands in the rows, as in a browser."""
        if heard.last_event_id is None:
            return
        run = heard.last_event_id.partition(":")[0]
        async with self._reading:
            ended = await self._rows.fetch(_BEFORE, run)
        for row in ended:
            self.read_as_rows += heard.endings.setdefault(row["run"], {}) == {}

    async def _listen(self, reader: StreamReader, heard: Transcript) -> None:
        left = random.randint(*_CUT_AFTER)
        async with asyncio.timeout(30), reader.open(heard.last_event_id) as frames:
            async for frame in frames:
                heard.hear(frame)
                if frame.type == "stream.opened" and not frame.event["resumed"]:
                    await self._read_rows(heard)
                left -= 1
                if not left:
                    return


@asynccontextmanager
async def listening(
    project: Project, users: SignIn, folder: Path, sessions: list[Any]
) -> AsyncIterator[Audience]:
    """Yield an audience that reads every session; webhooks come three times, in any order."""
    # The stand-ins have pg_net's and Vault's interface; what is sent goes over real HTTP.
    install_pg_net(project.cluster)  # type: ignore[arg-type]
    install_vault(project.cluster)  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        services = [
            Service(project, users, folder, WEBHOOK_SECRET=_WEBHOOK_SECRET) for _ in range(2)
        ]
        for service in services:
            await service.start()
            stack.callback(service.kill)
        sender = await stack.enter_async_context(httpx.AsyncClient())
        net = PgNet(await project.connect(), sender)
        audience = Audience(project, services, users, net, await project.connect())
        await net.configure(
            assistants_webhook_url=f"{services[0].url}/webhooks/messages",
            assistants_webhook_secret=_WEBHOOK_SECRET,
        )
        await stack.enter_async_context(pumping(net, Weather(1, triple=1.0)))
        tasks = [asyncio.create_task(audience.kill_services())]
        for session in sessions:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
            tasks.append(asyncio.create_task(audience.read(session, client)))
        try:
            yield audience
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(ended, asyncio.CancelledError):
                    sys.stderr.write(f"A reader gave up: {ended!r}\n")
