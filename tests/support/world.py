"""Three users and an organisation with rows of their own, and visitors who try things on them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_urlsafe
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from tests.support.browser import Browser
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database, PreparedCluster
from tests.support.connections import connect
from tests.support.identities import ISSUER, Identity, assume, visitors
from tests.support.matrix import TABLES
from tests.support.operations import Operation, operation
from tests.support.usage import model_call

_SAID_OF_A_REFUSAL = (
    "sqlstate", "message", "detail", "hint", "schema_name", "table_name", "column_name",
    "constraint_name", "context",
)  # fmt: skip


class World:
    """A database in which Ada, Bob, the odd one and an organisation have sessions and assistants."""

    def __init__(self, database: Database, issuer: str = ISSUER, suffix: str = "") -> None:
        self.database = database
        self.things: dict[str, dict[str, Any]] = {}
        self.visitors = {whose: visitors(whose, issuer, suffix) for whose in TABLES}
        self._issuer = issuer
        self._connection: Any = None

    async def fill(self, chat: Chat) -> None:
        """Their rows are there, and only tokens of the issuer count."""
        await chat.configure(token_issuer=self._issuer)
        people = self.visitors["organisation"]
        for name in ("owner", "odd"):
            self.things[name] = await _settle(chat, people[name])
        self.things["personal"] = self.things["owner"]
        await _settle(chat, people["other"])
        self.things["organisation"] = await _settle_together(chat, people)

    async def close(self) -> None:
        """The connection of its visitors is closed."""
        if self._connection is not None:
            await self._connection.close()

    @asynccontextmanager
    async def visit(self, who: Identity) -> AsyncIterator[Any]:
        """Yield a connection inside a transaction of this identity, which is rolled back."""
        if self._connection is None:
            self._connection = await connect(self.database.url("authenticator"))
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await assume(self._connection, who)
            yield self._connection
        finally:
            await transaction.rollback()

    def aimed(self, table: str, command: str, who: str, whose: str) -> Operation:
        """Return the operation about the things that this visitor tries it on."""
        things = self.things["odd" if who == "odd" else whose]
        return operation(table, command).about(things)

    async def attempt(self, table: str, command: str, who: str, whose: str = "personal") -> str:
        """Return the number of rows, or the SQLSTATE of the refusal."""
        answer = await self.answer(
            self.aimed(table, command, who, whose), self.visitors[whose][who]
        )
        return answer if isinstance(answer, str) else str(answer["sqlstate"])

    async def answer(self, tried: Operation, who: Identity) -> str | dict[str, Any]:
        """Return the number of rows, or all that a refusal tells."""
        sql, values = tried.sql()
        try:
            async with self.visit(who) as connection:
                return str((await connection.execute(sql, *values)).split()[-1])
        except asyncpg.PostgresError as error:
            return {name: getattr(error, name, None) for name in _SAID_OF_A_REFUSAL}


def nothing_like(things: Mapping[str, Any]) -> dict[str, Any]:
    """Return things of the same kinds that do not exist."""
    missing: dict[str, Any] = {
        name: str(uuid4()) if _is_uuid(value) else value for name, value in things.items()
    }
    return {**missing, "token": token_urlsafe(32), "owner": f"user_{uuid4().hex}"}


def _is_uuid(value: str) -> bool:
    try:
        return bool(UUID(value))
    except ValueError:
        return False


@asynccontextmanager
async def open_world(cluster: PreparedCluster) -> AsyncIterator[World]:
    """Yield a filled world in a database of its own."""
    with cluster.database() as database:
        made = World(database)
        async with AsyncExitStack() as stack:
            await made.fill(await open_chat(database, stack))
        try:
            yield made
        finally:
            await made.close()


async def _settle(chat: Chat, who: Identity) -> dict[str, Any]:
    """Return what one has: an active session and an archived one, two assistants, a share link."""
    things = await _start(chat, who)
    things |= await _park(chat, chat.browser(who), things["session"])
    await _spend(chat, who, things["private"])
    return _as_text(things)


async def _settle_together(chat: Chat, people: Mapping[str, Identity]) -> dict[str, Any]:
    """Return what the organisation has: what its starter has, and what others added."""
    starter, author = people["starter"], chat.browser(people["author"])
    things = await _start(chat, starter, visibility="organisation")
    said = await _say(chat, author, things["session"])
    things["members_message"] = said["message"]
    things["members_private"] = (await author.insert("assistants", name="private"))["id"]
    second = await _share(chat.browser(people["admin"]), things["session"])
    things["second_share"] = second["share"]
    things |= await _park(chat, chat.browser(starter), things["session"])
    await _spend(chat, starter, things["private"])
    await _spend(chat, people["author"])
    return _as_text(things)


async def _spend(chat: Chat, who: Identity, assistant: UUID | None = None) -> None:
    """They have asked a model once, in a session of the organisation or of their own."""
    org = ((who.claims or {}).get("o") or {}).get("id")
    asker = {"user_id": who.sub, "org_id": org, "assistant_id": assistant and str(assistant)}
    await chat.worker.call("record_calls", [model_call(**asker)])


async def _start(chat: Chat, who: Identity, *, visibility: str = "everyone") -> dict[str, Any]:
    browser = chat.browser(who)
    archived, session = await browser.start_session(), await browser.start_session()
    await browser.change(
        "update public.chat_sessions set status = 'archived' where id = $1", archived
    )
    things: dict[str, Any] = {"owner": who.sub, "archived": archived, "session": session}
    for name, seen in (("private", "private"), ("shared", visibility)):
        row = await browser.insert("assistants", name=name, visibility=seen)
        things[name] = row["id"]
    things |= await _say(chat, browser, session, client_id="c1")
    return things | await _share(browser, session)


async def _park(chat: Chat, browser: Browser, session: UUID) -> dict[str, Any]:
    head = await browser.say(session, "Roll for it")
    claim = await chat.worker.claim_one()
    await chat.worker.park(claim, "a")
    return {"head": head, "parked": claim["run_id"]}


async def _say(chat: Chat, browser: Browser, session: UUID, **columns: Any) -> dict[str, Any]:
    message = await browser.say(session, "A dragon!", **columns)
    claim = await chat.worker.claim_one()
    await chat.worker.finish(claim)
    outcome = await chat.outcome(claim["run_id"])
    return {"message": message, "run": claim["run_id"], "reply": outcome["id"]}


async def _share(browser: Browser, session: UUID) -> dict[str, Any]:
    (row,) = await browser.fetch("select * from public.share_session($1)", session)
    return {"share": row["id"], "token": row["token"]}


def _as_text(things: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in things.items()}
