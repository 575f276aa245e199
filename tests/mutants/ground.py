"""The databases on which mutants are tried, and how a test gets one of them as its fixture."""

import asyncio
import copy
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from tests.db.test_policies_without_the_pin import OPEN_PINS
from tests.db.test_storage_policies import _OF_THE_PROJECT, _fill
from tests.mutants.wall import GROUNDS, Check
from tests.support.chat import open_chat
from tests.support.cluster import Database, PreparedCluster
from tests.support.connections import connect_forgetful
from tests.support.sandbox import SandboxChat, SandboxDatabase
from tests.support.world import World


@dataclass
class Ground:
    """Databases that nobody changes, with what the tests find in theirs."""

    databases: dict[str, Database]
    worlds: dict[str, World]

    async def connect(self, stack: AsyncExitStack) -> dict[str, Any]:
        """Return a connection to each, closed when the stack unwinds."""
        found = {}
        for name, database in self.databases.items():
            # What is broken may be what a kept statement was planned with.
            found[name] = await connect_forgetful(database.url("supabase_admin"))
            stack.push_async_callback(found[name].close)
        return found

    def fixture(self, check: Check, connection: Any) -> Any:
        """Return what the test takes for its project."""
        if check.argument in {"chat", "empty_chat"}:
            return SandboxChat(connection)
        if check.ground in self.worlds:
            world = copy.copy(self.worlds[check.ground])
            world.database = cast("Database", SandboxDatabase(connection))
            return world
        return SandboxDatabase(connection)


@contextmanager
def open_ground(cluster: PreparedCluster) -> Iterator[Ground]:
    """Yield the databases that mutants are tried on."""
    with ExitStack() as stack:
        names = sorted(set(GROUNDS.values()))
        yield asyncio.run(_fill_all({it: stack.enter_context(cluster.database()) for it in names}))


async def _fill_all(databases: dict[str, Database]) -> Ground:
    """Return the ground on these databases, which are migrated and empty."""
    worlds = {name: World(databases[name]) for name in ("filled", "unpinned")}
    async with AsyncExitStack() as stack:
        await open_chat(databases["seeded"], stack)
        for name, world in worlds.items():
            await world.fill(await open_chat(databases[name], stack))
    databases["unpinned"].execute(OPEN_PINS)
    for name in ("stored", "opened"):
        _fill(databases[name])
    databases["opened"].execute(_OF_THE_PROJECT)
    return Ground(databases, worlds)
