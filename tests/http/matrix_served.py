"""A world behind a Data API, and the requests that its visitors make."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.db.test_grants import _COMPUTED, _WRITES
from tests.http.matrix_requests import Attempt, Script
from tests.http.matrix_restoring import keep
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.connections import connect
from tests.support.data_api import Project, is_known, is_served, open_project
from tests.support.forgeries import forged, signed
from tests.support.matrix import Cell
from tests.support.operations import Operation
from tests.support.sandbox import SandboxChat
from tests.support.stack import Stack
from tests.support.worker import Worker
from tests.support.world import World, nothing_like

_COLUMNS = """
select c.relname, a.attname from pg_attribute as a join pg_class as c on c.oid = a.attrelid
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
and a.attnum > 0 and not a.attisdropped
"""


class _OwnersChat(SandboxChat):
    """A project of which nobody but its owner is at hand, who may not become the service."""

    def new_worker(self, name: str) -> Worker:
        return Worker(self.line(), name)


@dataclass(frozen=True)
class Served:
    """A project, its world, and how its visitors show who they are."""

    url: str
    keys: Mapping[str, str]
    world: World
    bearers: Mapping[str, str | None]
    columns: list[tuple[str, str, str]]
    """Tables, commands, and columns that these would write."""
    keeps: bool
    """Whether rows can be put back; else nothing is tried that would change some."""

    def script(self, cells: list[Cell], outside: list[Cell]) -> Script:
        """Return a request for each cell, those about nothing in place of things, and columns."""
        found = [self._attempt(cell) for cell in cells]
        found += [self._attempt(cell, missing=True) for cell in outside]
        found += [_of_column(*column) for column in self.columns]
        asked = (it for it in found if self.keeps or not it.restores)
        attempts = sorted(asked, key=lambda it: it.restores)
        return Script(self.url, self.keys, self.bearers, attempts, self.keeps)

    def _attempt(self, cell: Cell, *, missing: bool = False) -> Attempt:
        things = self.world.things["odd" if cell.who == "odd" else cell.whose]
        about = cell.operation.about(nothing_like(things) if missing else things)
        name = f"missing {cell.id}" if missing else cell.id
        changes = not cell.is_denied and not cell.operation.only_reads
        return Attempt(name, f"{cell.whose} {cell.who}", about, changes)


def granted(table: str, command: str) -> set[str]:
    """Return the columns that a browser writes so."""
    return set(_WRITES.get((table, command, "authenticated"), "").split())


@contextmanager
def served_here(database: Database) -> Iterator[Served]:
    """Yield a world of its own, whose rows are put back."""
    with open_project(database) as project:
        world = World(database, project.sign_in.url)
        asyncio.run(_fill(world, project))
        listed = [line.split("|") for line in database.execute(_COLUMNS).splitlines()]
        keys = {"publishable": project.keys.publishable_key, "secret": project.keys.secret_key}
        bearers = _bearers(project.sign_in.key, world)
        yield Served(project.url, keys, world, bearers, _columns(listed), keeps=True)


@contextmanager
def served_by(stack: Stack) -> Iterator[Served]:
    """Yield a world in a project that others use too: its users are no other test's."""
    owner_url = stack.facts["admin_database_url"]
    world, before = asyncio.run(_filled_as_owner(owner_url, stack.facts["issuer_url"]))
    keys = {name: stack.facts[f"{name}_key"] for name in ("publishable", "secret")}
    bearers = _bearers(stack.signing_key(), world)
    url = stack.facts["supabase_url"]
    try:
        yield Served(url, keys, world, bearers, _columns(before.columns), keeps=False)
    finally:
        asyncio.run(_pin(owner_url, before.issuer))


async def _fill(world: World, project: Project) -> None:
    async with AsyncExitStack() as stack:
        await world.fill(await open_chat(world.database, stack))
    keep(world.database)
    await is_served(project)
    await is_known(project, "restore_world")


@dataclass(frozen=True)
class _Before:
    """What an owner found: whose tokens counted, and the tables' columns."""

    issuer: str | None
    columns: list[Any]


async def _filled_as_owner(owner_url: str, issuer: str) -> tuple[World, _Before]:
    connection = await connect(owner_url)
    try:
        pinned = await connection.fetchval("select token_issuer from engine.settings")
        chat = _OwnersChat(connection)
        world = World(chat.database, issuer, f"_{uuid4().hex}")
        # In one transaction: no worker of the project sees a run before it is done.
        async with connection.transaction():
            await world.fill(chat)
        return world, _Before(pinned, list(await connection.fetch(_COLUMNS)))
    finally:
        await connection.close()


async def _pin(owner_url: str, issuer: str | None) -> None:
    connection = await connect(owner_url)
    try:
        await connection.execute("update engine.settings set token_issuer = $1", issuer)
    finally:
        await connection.close()


def _bearers(key: RSAPrivateKey, world: World) -> dict[str, str | None]:
    found = {
        f"{whose} {who}": signed(key, identity.claims) if identity.claims else None
        for whose, visitors in world.visitors.items()
        for who, identity in visitors.items()
    }
    claims = world.visitors["personal"]["owner"].claims or {}
    return found | {f"personal {name}": token for name, token in forged(key, claims).items()}


def _columns(listed: list[Any]) -> list[tuple[str, str, str]]:
    return [
        (table, command, column)
        for table, column in listed
        for command in ("insert", "update")
        if not (table == "runs" and column in _COMPUTED)
    ]


# Of the tables and views that have no id.
_KEYS = {"usage_by_day": "assistant_id"}


def _of_column(table: str, command: str, column: str) -> Attempt:
    where = {_KEYS.get(table, "id"): str(uuid4())} if command == "update" else {}
    return Attempt(
        f"{table} {command} {column}",
        "personal owner",
        Operation(command, table, {column: None}, where),
        restores=command == "insert" and column in granted(table, command),
    )
