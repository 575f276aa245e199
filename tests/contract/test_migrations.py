"""Migrations are applied once, in order, and every disagreement is said."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.errors import DatabaseUnavailable, MigrationRefused
from backend.integrations.supabase import bundle, migrations
from backend.integrations.supabase.bundle import Migration
from tests.support.cluster import Database

NEW = Migration("29990101000000", "add_trial", "create table public.trial (id int);\nselect 1;\n")


async def applied(database: Database, *extra: Migration) -> list[str]:
    return await migrations.apply(database.url(), [*bundle.migrations(), *extra])


async def test_a_database_that_is_up_to_date_is_left_alone(database: Database) -> None:
    assert await applied(database) == []


async def test_a_new_file_is_applied_once_and_recorded_as_the_cli_does(database: Database) -> None:
    assert await applied(database, NEW) == [NEW.version]
    assert await applied(database, NEW) == []
    connection: Any = await asyncpg.connect(database.url())
    row = await connection.fetchrow(
        "select * from supabase_migrations.schema_migrations where version = $1", NEW.version
    )
    await connection.close()
    assert dict(row) == {
        "version": NEW.version,
        "name": "add_trial",
        "statements": ["create table public.trial (id int)", "select 1"],
    }


async def test_runs_at_the_same_time_share_the_work(database: Database) -> None:
    done = await asyncio.gather(*(applied(database, NEW) for _ in range(4)))
    assert sorted(done) == [[], [], [], [NEW.version]]


async def test_a_file_that_fails_leaves_no_trace_and_is_named(database: Database) -> None:
    broken = Migration(NEW.version, "break_it", "create table public.trial (id int); select nix;")
    with pytest.raises(MigrationRefused, match="29990101000000_break_it"):
        await applied(database, broken)
    assert await applied(database, NEW) == [NEW.version]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(database: Database) -> None:
    await applied(database, NEW)
    changed = Migration(NEW.version, NEW.name, NEW.script.replace("int", "bigint"))
    with pytest.raises(MigrationRefused, match="changed"):
        await applied(database, changed)


async def test_a_version_that_no_file_has_is_refused(database: Database) -> None:
    await applied(database, NEW)
    with pytest.raises(MigrationRefused, match="no file"):
        await applied(database)


async def test_a_file_older_than_the_history_is_refused(database: Database) -> None:
    await applied(database, NEW)
    late = Migration("29980101000000", "come_late", "select 1")
    with pytest.raises(MigrationRefused, match="older"):
        await applied(database, late, NEW)


async def test_a_migrations_own_timeouts_do_not_reach_the_next_one(database: Database) -> None:
    first = Migration("29990101000000", "set_timeout", "set statement_timeout = '500ms'")
    second = Migration("29990101000001", "take_time", "select pg_sleep(1)")
    assert len(await applied(database, first, second)) == 2


async def test_a_database_that_is_not_there_is_said_to_be_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrations.apply("postgresql://postgres@127.0.0.1:1/postgres")


async def test_the_seed_can_be_run_again(database: Database) -> None:
    await migrations.seed(database.url())
    await migrations.seed(database.url())


def test_a_file_whose_name_is_no_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1_first.sql").write_text("select 1", "utf-8")
    with pytest.raises(MigrationRefused, match="1_first"):
        bundle.migrations(tmp_path)
