"""The record of applied migrations, which `supabase db push` keeps as well, against the files."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from backend.errors import MigrationRefused
from backend.integrations.supabase.bundle import Migration
from backend.integrations.supabase.scripts import same_script, statements

CREATE = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_EXISTS = "select pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null"
# Early versions of the CLI kept no statements.
_READ = """
select m.version, array(
    select pg_catalog.jsonb_array_elements_text(
        nullif(pg_catalog.to_jsonb(m) -> 'statements', 'null'))
) as statements
from supabase_migrations.schema_migrations as m
"""
_VERSIONS = "select version from supabase_migrations.schema_migrations"
_RECORD = """
insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)
"""
_FORGET = "delete from supabase_migrations.schema_migrations where version = $1"


async def read(connection: Any) -> dict[str, str]:
    """Return the script of each applied version, empty where a history was repaired by hand."""
    if not await connection.fetchval(_EXISTS):
        return {}
    rows = await connection.fetch(_READ)
    return {row["version"]: ";\n".join(row["statements"]) for row in rows}


async def versions(connection: Any) -> set[str]:
    """Return the applied versions."""
    return {row["version"] for row in await connection.fetch(_VERSIONS)}


async def record(connection: Any, step: Migration) -> None:
    """The history has this file, as the CLI would have recorded it."""
    await connection.execute(_RECORD, step.version, step.name, statements(step.script))


async def forget(connection: Any, step: Migration) -> None:
    """The history does not have this file."""
    await connection.execute(_FORGET, step.version)


def outstanding(history: Mapping[str, str], wanted: Sequence[Migration]) -> list[Migration]:
    """Return what is still to be applied, oldest first.

    Raises:
        MigrationRefused: History and files disagree.
    """
    found = missing(history, wanted)
    for step in wanted:
        recorded = history.get(step.version)
        if recorded and not same_script(recorded, step.script):
            raise MigrationRefused(f"{step.file} was changed after it was applied.")
    return found


def missing(history: Collection[str], wanted: Sequence[Migration]) -> list[Migration]:
    """Return what is still to be applied, oldest first, looking at versions only.

    Raises:
        MigrationRefused: The history has a version that is no file, or a newer one than a file that
            it lacks.
    """
    if unknown := sorted(set(history) - {step.version for step in wanted}):
        raise MigrationRefused(_unknown(unknown[0], newest=wanted[-1].version if wanted else ""))
    found = [step for step in wanted if step.version not in history]
    if found and history and found[0].version < max(history):
        raise MigrationRefused(f"{found[0].version} is older than what was applied already.")
    return found


def steps_back(
    history: Mapping[str, str], wanted: Sequence[Migration], version: str
) -> list[Migration]:
    """Return what has to be rolled back so that `version` is the newest one, newest first.

    Raises:
        MigrationRefused: There is no such version, a file on the way has no rollback, or history
            and files disagree.
    """
    if version not in {step.version for step in wanted}:
        raise MigrationRefused(f"{version} is no migration of this release.")
    outstanding(history, wanted)
    if version not in history:
        raise MigrationRefused(f"{version} is not applied: there is no way back to it.")
    steps = [it for it in reversed(wanted) if it.version > version and it.version in history]
    for step in steps:
        if step.rollback is None:
            raise MigrationRefused(
                f"{step.file} has no rollback, so nothing was done: restore a backup, or uninstall"
                " as docs/upgrade.md says."
            )
    return steps


def _unknown(version: str, *, newest: str) -> str:
    said = f"The database has migration {version}, which is no file here"
    if version < newest:
        return (
            f"{said}. A project with migrations of its own takes ours by the Supabase CLI:"
            " docs/upgrade.md."
        )
    return (
        f"{said}: it is newer than this release. This release runs on it as it is; migrate and roll"
        " back with the newer one."
    )
