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
from tests.support.migrating import NEW
from tests.support.processes import until

SLOW_RECORD = """
create function public.hold_up() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(4712);
    return new;
end $$;
create trigger hold_up before insert on supabase_migrations.schema_migrations
for each row execute function public.hold_up();
"""


def _ours() -> list[Migration]:
    return bundle.migrations()


async def applied(database: Database, *extra: Migration) -> list[str]:
    return await migrations.apply(database.url(), [*_ours(), *extra])


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
    late = Migration("29990101000001", "come_late", "select 1")
    await applied(database, NEW, late)
    with pytest.raises(MigrationRefused, match=r"29990101000000, which is no file here"):
        await applied(database, late)


async def test_an_older_release_says_that_the_database_is_newer_and_that_this_is_fine(
    database: Database,
) -> None:
    await applied(database, NEW)
    with pytest.raises(MigrationRefused, match=r"newer than this release.* runs on it as it is"):
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


@pytest.mark.parametrize("setting", ["lock_timeout = '1ms'", "statement_timeout = '100ms'"])
async def test_a_migrations_own_timeouts_do_not_govern_its_record(
    database: Database, setting: str
) -> None:
    tight = Migration(NEW.version, "be_tight", f"set {setting}")
    held_up = (
        "select 1 from pg_locks where locktype = 'advisory' and objid = 4712 and not granted"
        " and waitstart < clock_timestamp() - interval '300 ms'"
    )
    database.execute(SLOW_RECORD)
    other: Any = await asyncpg.connect(database.url())
    await other.execute("select pg_advisory_lock(4712)")
    recording = asyncio.create_task(applied(database, tight))

    async def is_held_up() -> bool:
        if recording.done():
            recording.result()
        return bool(await other.fetchval(held_up))

    await until(is_held_up)
    await other.close()
    assert await recording == [NEW.version]


async def test_a_role_that_a_migration_takes_is_its_own(database: Database) -> None:
    humble = Migration(NEW.version, "be_humble", "set role authenticated")
    assert await applied(database, humble) == [NEW.version]


async def test_each_file_is_told_of_once_it_is_there(database: Database) -> None:
    second = Migration("29990101000001", "break_it", "select nix")
    told: list[str] = []
    with pytest.raises(MigrationRefused):
        await migrations.apply(
            database.url(), [*_ours(), NEW, second], tell=lambda step: told.append(step.file)
        )
    assert told == [NEW.file]


async def test_a_file_that_gets_no_lock_says_that_it_can_be_run_again(database: Database) -> None:
    hasty = Migration(NEW.version, "hurry", "set lock_timeout = '1ms'; lock table public.messages")
    other: Any = await asyncpg.connect(database.url())
    async with other.transaction():
        await other.execute("lock table public.messages")
        with pytest.raises(MigrationRefused, match=r"hurry\.sql: .*lock timeout.* again"):
            await applied(database, hasty)
    await other.close()
    assert await applied(database, hasty) == [NEW.version]


async def test_a_plan_says_what_would_be_applied_and_applies_nothing(database: Database) -> None:
    for _ in range(2):
        plan = await migrations.plan(database.url(), [*_ours(), NEW])
        assert (plan.steps, plan.refusal) == ([NEW], None)


async def test_the_plan_for_an_old_history_without_statements_can_be_made(
    database: Database,
) -> None:
    database.execute("alter table supabase_migrations.schema_migrations drop column statements")
    assert (await migrations.plan(database.url(), [*_ours(), NEW])).steps == [NEW]
    assert await applied(database, NEW) == [NEW.version]


async def test_a_history_repaired_by_hand_is_taken_as_it_is(database: Database) -> None:
    database.execute("update supabase_migrations.schema_migrations set statements = null")
    assert await applied(database) == []


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
