"""Migrations through a transaction pooler: each transaction may meet another connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from backend.errors import MigrationRefused
from backend.integrations.supabase import bundle, migrations
from tests.support.cluster import Database, PreparedCluster
from tests.support.migrating import FIRST_SCHEMA, NEW, bare_database
from tests.support.pooler import answers, transaction_pooler
from tests.support.snapshots import catalogue_of

OURS = bundle.migrations()
CONNECTIONS = 4
# What a file may leave on its connection.
STATE = "select current_setting('statement_timeout'), current_setting('lock_timeout'), current_user"
TOUCHY = "set statement_timeout = '77s'; set lock_timeout = '7s'; set role authenticated;"


@pytest.fixture
def bare(cluster: PreparedCluster) -> Iterator[Database]:
    with bare_database(cluster) as made:
        yield made


@pytest_asyncio.fixture
async def pooled(bare: Database) -> AsyncIterator[str]:
    """Yield the owner's login to a project without a migration, through the pooler."""
    with transaction_pooler(bare.url()) as url:
        await answers(url)
        yield url


async def test_the_schema_is_planned_applied_and_rolled_back_through_a_pooler(
    pooled: str, bare: Database, database: Database
) -> None:
    versions = [step.version for step in OURS]
    back = [version for version in reversed(versions) if version > FIRST_SCHEMA]

    assert (await migrations.plan(pooled)).steps == OURS
    assert await migrations.apply(pooled) == versions
    assert catalogue_of(bare) == catalogue_of(database)
    assert await migrations.back_to(pooled, FIRST_SCHEMA) == back
    assert [step.version for step in (await migrations.plan(pooled)).steps] == back[::-1]
    assert await migrations.apply(pooled) == back[::-1]
    assert catalogue_of(bare) == catalogue_of(database)


async def test_runs_at_the_same_time_share_the_work_behind_a_pooler_too(pooled: str) -> None:
    done = await asyncio.gather(*(migrations.apply(pooled) for _ in range(CONNECTIONS)))

    assert sorted(version for part in done for version in part) == [it.version for it in OURS]


async def test_what_a_file_sets_reaches_no_other_client_of_the_pooler(
    pooled: str, bare: Database
) -> None:
    direct: Any = await asyncpg.connect(bare.url())
    untouched = await direct.fetchrow(STATE)
    await direct.close()
    first = replace(NEW, script="select 1")
    touchy = replace(NEW, version="29990101000001", script=TOUCHY, rollback=TOUCHY)
    broken = replace(NEW, version="29990101000002", script=f"{TOUCHY} select nix")

    for _ in range(CONNECTIONS):
        with pytest.raises(MigrationRefused):
            await migrations.apply(pooled, [first, touchy, broken])
        assert await migrations.back_to(pooled, first.version, [first, touchy]) == [touchy.version]

    assert await _states_of_all_connections(pooled) == {tuple(untouched)}


async def _states_of_all_connections(pooled: str) -> set[tuple[Any, ...]]:
    """Return what the next clients find, one on each connection that the pooler has."""
    together = asyncio.Barrier(CONNECTIONS)

    async def look() -> tuple[int, tuple[Any, ...]]:
        connection: Any = await asyncpg.connect(pooled, statement_cache_size=0)
        async with connection.transaction():
            pid = await connection.fetchval("select pg_backend_pid()")
            found = tuple(await connection.fetchrow(STATE))
            await together.wait()
        await connection.close()
        return pid, found

    seen = await asyncio.gather(*(look() for _ in range(CONNECTIONS)))
    assert len({pid for pid, _ in seen}) == CONNECTIONS
    return {found for _, found in seen}
