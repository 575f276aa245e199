"""`assistants migrate` as its user sees it, also when it is interrupted."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.integrations.supabase import bundle
from backend.integrations.supabase.migration_history import CREATE
from tests.support.cluster import Database, PreparedCluster
from tests.support.migrating import FIRST_SCHEMA, apply, bare_database, files, migrate
from tests.support.processes import AssistantsProcess, until
from tests.support.snapshots import catalogue_of

OURS = bundle.migrations()
HALFWAY = next(step for step in OURS if "create table public.messages" in step.script)
BEFORE = [step for step in OURS if step.version < HALFWAY.version]
# Each stops a run for as long as a test holds the lock: in the middle of that file, and when all of
# it is done and its row in the history is about to be written.
IN_THE_FILE = """
create function public.wait_for_test() returns event_trigger language plpgsql as $$
begin
    if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'public.messages')
    then
        set local lock_timeout = 0;
        set local statement_timeout = 0;
        perform pg_advisory_xact_lock(4711);
    end if;
end $$;
create event trigger wait_for_test on ddl_command_end when tag in ('CREATE TABLE')
execute function public.wait_for_test();
"""
BEFORE_ITS_RECORD = f"""
set role postgres;
{CREATE}
create function public.wait_for_test() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(4711);
    return new;
end $$;
create trigger wait_for_test before insert on supabase_migrations.schema_migrations
for each row when (new.version = '{HALFWAY.version}') execute function public.wait_for_test();
"""
WAITING = """
select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
and database = (select oid from pg_database where datname = current_database())
"""
GONE = "select not exists (select from pg_stat_activity where pid = $1)"


@pytest.fixture
def bare(cluster: PreparedCluster) -> Iterator[Database]:
    with bare_database(cluster) as made:
        yield made


def history_of(database: Database) -> list[str]:
    sql = "select version from supabase_migrations.schema_migrations order by 1"
    return database.execute(sql).splitlines()


def test_each_file_is_a_line_on_stderr_and_nothing_is_on_stdout(bare: Database) -> None:
    done = migrate(bare.url())

    lines = [f"Applied {step.version} {step.name}" for step in OURS]
    assert done.stderr.splitlines() == [*lines, f"Applied {len(OURS)} migrations."]
    assert (done.returncode, done.stdout) == (0, "")
    assert migrate(bare.url()).stderr == "The schema is up to date.\n"


def test_a_plan_for_a_new_project_lists_every_file_and_leaves_nothing_behind(
    bare: Database,
) -> None:
    done = migrate(bare.url(), "--plan")

    assert done.stdout.splitlines() == [f"{step.version}  {step.name}" for step in OURS]
    assert (done.returncode, done.stderr) == (0, f"{len(OURS)} migrations would be applied.\n")
    assert bare.execute("select to_regnamespace('supabase_migrations')") == ""


def test_a_login_that_may_only_read_the_history_may_plan(bare: Database) -> None:
    apply(bare, files(until=FIRST_SCHEMA))
    refused = migrate(bare.url("dashboard_user"), "--plan")
    bare.execute(
        "grant usage on schema supabase_migrations to dashboard_user;"
        "grant select on supabase_migrations.schema_migrations to dashboard_user"
    )

    done = migrate(bare.url("dashboard_user"), "--plan")

    assert (done.returncode, done.stdout.split()[0] > FIRST_SCHEMA) == (0, True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("the migration history: permission denied")


def test_a_plan_says_where_history_and_files_disagree(database: Database) -> None:
    database.execute(
        "insert into supabase_migrations.schema_migrations (version) values ('29990101000000')"
    )

    done = migrate(database.url(), "--plan")

    assert (done.returncode, done.stdout) == (0, "")
    assert "newer than this release" in done.stderr


def test_the_way_back_is_told_line_by_line(database: Database) -> None:
    back = [step for step in reversed(OURS) if step.version > FIRST_SCHEMA]

    done = migrate(database.url(), "--back-to", FIRST_SCHEMA)

    lines = [f"Rolled back {step.version} {step.name}" for step in back]
    assert done.stderr.splitlines() == [*lines, f"Rolled back {len(back)} migrations."]
    assert (done.returncode, done.stdout) == (0, "")
    again = migrate(database.url(), "--back-to", FIRST_SCHEMA)
    assert (again.returncode, again.stderr) == (0, "There is nothing to roll back.\n")


def test_the_way_back_to_nowhere_is_one_sentence_and_a_failure(database: Database) -> None:
    done = migrate(database.url(), "--back-to", "20200101000000")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "20200101000000 is no migration of this release.\n"


@pytest.mark.parametrize(
    "options",
    [("--plan", "--back-to", FIRST_SCHEMA), ("--plan", "--service-role")],
)
def test_wishes_that_exclude_each_other_are_refused(
    database: Database, options: tuple[str, ...]
) -> None:
    done = migrate(database.url(), *options)

    assert done.returncode == 2
    assert "stand alone" in re.sub(r"\s+", " ", done.stderr)


@asynccontextmanager
async def halfway(
    database: Database, stop: str, log: Path
) -> AsyncIterator[tuple[AssistantsProcess, int]]:
    """Yield `assistants migrate` where it is stopped, and the server process that works."""
    database.execute(stop)
    test: Any = await asyncpg.connect(database.url("supabase_admin"))
    await test.execute("select pg_advisory_lock(4711)")
    process = AssistantsProcess(["migrate"], log, {"ADMIN_DATABASE_URL": database.url()})

    async def is_there() -> bool:
        assert process.is_alive, process.log_text()
        return bool(await test.fetchval(WAITING))

    try:
        await until(is_there)
        pid = await test.fetchval(WAITING)
        yield process, pid
        await test.execute("select pg_advisory_unlock_all()")

        async def is_gone() -> bool:
            return bool(await test.fetchval(GONE, pid))

        await until(is_gone)
    finally:
        process.kill()
        await test.close()
    database.execute("drop function public.wait_for_test() cascade")


def assert_whole_files_only(database: Database) -> None:
    assert history_of(database) == [step.version for step in BEFORE]
    assert database.execute("select to_regclass('public.messages')") == ""


def assert_the_next_run_goes_on(bare: Database, database: Database) -> None:
    done = migrate(bare.url())
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"Applied {HALFWAY.version} {HALFWAY.name}"
    assert catalogue_of(bare) == catalogue_of(database)
    assert history_of(bare) == history_of(database)


@pytest.mark.parametrize("stop", [IN_THE_FILE, BEFORE_ITS_RECORD], ids=["file", "record"])
async def test_a_run_killed_in_the_middle_of_a_file_leaves_whole_files_and_the_next_goes_on(
    bare: Database, database: Database, tmp_path: Path, stop: str
) -> None:
    async with halfway(bare, stop, tmp_path / "log") as (process, _):
        process.kill()

    assert_whole_files_only(bare)
    assert_the_next_run_goes_on(bare, database)


@pytest.mark.parametrize("stop", [IN_THE_FILE, BEFORE_ITS_RECORD], ids=["file", "record"])
async def test_a_connection_cut_in_the_middle_of_a_file_is_said_and_the_next_run_goes_on(
    bare: Database, database: Database, tmp_path: Path, stop: str
) -> None:
    async with halfway(bare, stop, tmp_path / "log") as (process, pid):
        bare.execute(f"select pg_terminate_backend({pid})")
        assert await process.ended() == 1
        said = process.log_text()

    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"{HALFWAY.file}: the connection was lost.")
    assert_whole_files_only(bare)
    assert_the_next_run_goes_on(bare, database)
