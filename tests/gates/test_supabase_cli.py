"""The official Supabase CLI finds nothing to say, and applies what `assistants migrate` applies."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.integrations.supabase import bundle, migrations
from tests.support.cluster import PRELUDE, Database, PreparedCluster, missing
from tests.support.migrating import FIRST_SCHEMA
from tests.support.snapshots import catalogue_of

ROOT = Path(__file__).parents[2]
CLI = ROOT / "supabase/cli/node_modules/@supabase/cli-linux-x64/bin/supabase"


def supabase(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not CLI.exists():
        missing("the Supabase CLI is not installed: npm ci in supabase/cli")
    quiet = {"DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
    return subprocess.run(
        [CLI, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **quiet},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def remote(database: Database, role: str = "postgres") -> str:
    return f"--remote={database.url(role)}?sslmode=disable"


def advise(home: Path, database: Database) -> subprocess.CompletedProcess[str]:
    level = ["--level", "warn", "--fail-on", "warn"]
    return supabase(home, "db", "advisors", *level, remote(database))


@pytest.mark.parametrize("exposed", [None, "public, graphql_public"])
def test_the_advisors_are_silent(database: Database, tmp_path: Path, exposed: str | None) -> None:
    if exposed:
        database.execute(f"alter database {database.name} set pgrst.db_schemas = '{exposed}'")
    done = advise(tmp_path, database)
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout + done.stderr


def test_the_advisors_would_speak_up(database: Database, tmp_path: Path) -> None:
    database.execute(f"alter database {database.name} set pgrst.db_schemas = 'public'")
    database.execute("alter table public.messages disable row level security")
    assert "rls_disabled_in_public" in advise(tmp_path, database).stdout


def lint(home: Path, database: Database) -> subprocess.CompletedProcess[str]:
    if not Path("/usr/lib/postgresql/15/lib/plpgsql_check.so").exists():
        missing("plpgsql_check is not installed: apt-get install postgresql-15-plpgsql-check")
    database.execute("create extension plpgsql_check")
    options = ["--schema", "engine,public", "--level", "warning", "--fail-on", "warning"]
    return supabase(home, "db", "lint", *options, remote(database))


def test_every_function_passes_plpgsql_check(
    database_of: Callable[[int], Database], tmp_path: Path
) -> None:
    done = lint(tmp_path, database_of(15))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No schema errors found" in done.stdout + done.stderr


def test_plpgsql_check_would_speak_up(
    database_of: Callable[[int], Database], tmp_path: Path
) -> None:
    database = database_of(15)
    database.execute(
        "create function public.broken() returns int language plpgsql as"
        " $$ begin return (select missing from public.messages); end $$"
    )
    assert lint(tmp_path, database).returncode != 0


def test_db_push_and_assistants_migrate_make_the_same_database(
    cluster: PreparedCluster, database: Database, tmp_path: Path
) -> None:
    with cluster.database(template="template0") as pushed:
        pushed.execute(PRELUDE.read_text(encoding="utf-8"))
        done = supabase(tmp_path, "db", "push", "--yes", remote(pushed))
        assert done.returncode == 0, done.stdout + done.stderr
        assert catalogue_of(pushed) == catalogue_of(database)
        # Each tool knows what the other one has applied.
        assert asyncio.run(migrations.apply(pushed.url())) == []
    again = supabase(tmp_path, "db", "push", "--yes", remote(database))
    assert "up to date" in again.stdout + again.stderr


def test_db_push_applies_again_what_assistants_migrate_has_rolled_back(
    database: Database, tmp_path: Path
) -> None:
    whole = catalogue_of(database)
    back = asyncio.run(migrations.back_to(database.url(), FIRST_SCHEMA))
    assert back

    done = supabase(tmp_path, "db", "push", "--yes", remote(database))

    assert done.returncode == 0, done.stdout + done.stderr
    assert catalogue_of(database) == whole
    assert asyncio.run(migrations.apply(database.url())) == []


def test_a_rollback_by_hand_and_repair_is_what_assistants_migrate_does(
    database: Database, tmp_path: Path
) -> None:
    step = bundle.migrations()[-1]
    database.cluster.execute(step.rollback or "", database=database.name, role="postgres")

    options = ["--status", "reverted", step.version, "--yes"]
    done = supabase(tmp_path, "migration", "repair", *options, remote(database))

    assert done.returncode == 0, done.stdout + done.stderr
    assert asyncio.run(migrations.plan(database.url())).steps == [step]
