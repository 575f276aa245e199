"""Brings a database's schema up to date, in step with `supabase db push`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg

from backend.errors import MigrationRefused
from backend.integrations.supabase import bundle
from backend.integrations.supabase.bundle import Migration
from backend.integrations.supabase.scripts import same_script, statements
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, sqlstate_of, translate

_LOCK = 7203911547
_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_RECORD = """
insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)
"""


async def apply(admin_url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Return the versions applied now; afterwards the database has all of them.

    Each file is a transaction of its own. Runs at the same moment wait for each other and share
    the work.

    Raises:
        MigrationRefused: The history names a version that is no file, a file was changed after it
            was applied, a new file is older than the history, or a statement failed.
        DatabaseUnavailable: The database cannot be reached.
    """
    wanted = bundle.migrations() if migrations is None else list(migrations)
    connection = await connect(admin_url)
    try:
        with refusals("the migration history"):
            await _in_turn(connection, _HISTORY)
        return [step.version for step in wanted if await _apply(connection, step, wanted)]
    finally:
        await connection.close()


async def seed(admin_url: str) -> None:
    """Run `supabase/seed.sql` in one transaction."""
    connection = await connect(admin_url)
    try:
        with refusals("seed.sql"):
            await _in_turn(connection, (bundle.folder() / "seed.sql").read_text(encoding="utf-8"))
    finally:
        await connection.close()


async def connect(admin_url: str) -> Any:
    """Return a connection that also works behind a transaction pooler.

    Raises:
        DatabaseUnavailable: Nobody answers there, or it refuses the login.
    """
    try:
        return await asyncpg.connect(admin_url, statement_cache_size=0, timeout=10)
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        raise translate(error, doing="Connecting as the owner") from error


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn the server's refusal into one that names the file and what the server said."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise MigrationRefused(f"{what}: {error} ({sqlstate_of(error)})") from error


async def _apply(connection: Any, step: Migration, wanted: Sequence[Migration]) -> bool:
    with refusals(f"{step.version}_{step.name}.sql"):
        async with connection.transaction():
            await connection.execute("select pg_catalog.pg_advisory_xact_lock($1)", _LOCK)
            if _is_applied(step, await _history(connection), wanted):
                return False
            await connection.execute(step.script)
            await connection.execute(_RECORD, step.version, step.name, statements(step.script))
    # A migration sets its own timeouts for the whole connection.
    await connection.execute("reset all")
    return True


async def _in_turn(connection: Any, script: str) -> None:
    async with connection.transaction():
        await connection.execute("select pg_catalog.pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(script)


async def _history(connection: Any) -> dict[str, str]:
    rows = await connection.fetch(
        "select version, statements from supabase_migrations.schema_migrations"
    )
    return {row["version"]: ";\n".join(row["statements"] or ()) for row in rows}


def _is_applied(step: Migration, history: dict[str, str], wanted: Sequence[Migration]) -> bool:
    if unknown := sorted(history.keys() - {known.version for known in wanted}):
        raise MigrationRefused(f"The database has migration {unknown[0]}, which is no file here.")
    if step.version not in history:
        if history and step.version < max(history):
            raise MigrationRefused(f"{step.version} is older than what was applied already.")
        return False
    # A history repaired by hand has no statements to compare with.
    recorded = history[step.version]
    if recorded and not same_script(recorded, step.script):
        raise MigrationRefused(f"{step.version}_{step.name}.sql was changed after it was applied.")
    return True
