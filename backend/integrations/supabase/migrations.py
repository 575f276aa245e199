"""Brings a database's schema up to date and back, in step with `supabase db push`."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from backend.errors import DatabaseUnavailable, MigrationRefused
from backend.integrations.supabase import bundle
from backend.integrations.supabase import migration_history as history
from backend.integrations.supabase.bundle import Migration
from backend.integrations.supabase.sqlstates import (
    CONNECTION_ERRORS,
    place_of,
    sqlstate_of,
    translate,
)

Tell = Callable[[Migration], None]

_LOCK = 7203911547
_HISTORY = "the migration history"
_ADVICE = {
    "55P03": ". Nothing of it was done: run the same command again",
    "42501": ". Is ADMIN_DATABASE_URL the login of the database's owner?",
}
# The server went away, or an operator ended the connection.
_CUT = ("08", "57P")


@dataclass(frozen=True)
class Plan:
    """What `apply` would do."""

    steps: list[Migration]
    """What it would apply, oldest first."""
    refusal: str | None
    """Why it would do nothing at all, where history and files disagree."""


def _say_nothing(_: Migration) -> None:
    pass


async def apply(
    admin_url: str, migrations: Sequence[Migration] | None = None, *, tell: Tell = _say_nothing
) -> list[str]:
    """Return the versions applied now; afterwards the database has all of them.

    Each file is a transaction of its own. Runs at the same moment wait for each other and share
    the work; a run that is interrupted leaves whole files, and the next one goes on.

    Args:
        admin_url: The owner's login, directly or through a pooler.
        migrations: Oldest first; by default those of this release.
        tell: Is told of each file once it is applied.

    Raises:
        MigrationRefused: The history names a version that is no file, a file was changed after it
            was applied, a new file is older than the history, or a statement failed.
        DatabaseUnavailable: The database cannot be reached, or the connection was lost.
    """
    wanted = _or_ours(migrations)
    async with _owner(admin_url) as connection:
        async with _turn(connection, _HISTORY):
            await connection.execute(history.CREATE)
            steps = history.outstanding(await history.read(connection), wanted)
        return [step.version for step in steps if await _apply(connection, step, wanted, tell)]


async def plan(url: str, migrations: Sequence[Migration] | None = None) -> Plan:
    """Return what `apply` would do; a login that may read the history is enough.

    Raises:
        MigrationRefused: The history cannot be read.
        DatabaseUnavailable: The database cannot be reached, or the connection was lost.
    """
    async with _owner(url) as connection:
        with refusals(_HISTORY):
            async with connection.transaction(readonly=True):
                applied = await history.read(connection)
    try:
        return Plan(history.outstanding(applied, _or_ours(migrations)), None)
    except MigrationRefused as refused:
        return Plan([], str(refused))


async def back_to(
    admin_url: str,
    version: str,
    migrations: Sequence[Migration] | None = None,
    *,
    tell: Tell = _say_nothing,
) -> list[str]:
    """Return the versions rolled back now, newest first; afterwards `version` is the newest one.

    Each file is a transaction of its own, in turn with `apply`.

    Raises:
        MigrationRefused: There is no such version, a file on the way has no rollback, or history
            and files disagree, and nothing was done; or a statement failed.
        DatabaseUnavailable: The database cannot be reached, or the connection was lost.
    """
    wanted = _or_ours(migrations)
    async with _owner(admin_url) as connection:
        async with _turn(connection, _HISTORY):
            steps = history.steps_back(await history.read(connection), wanted, version)
        return [step.version for step in steps if await _undo(connection, step, tell)]


async def seed(admin_url: str) -> None:
    """Run `supabase/seed.sql` in one transaction."""
    async with _owner(admin_url) as connection, _turn(connection, "seed.sql"):
        await _run(connection, (bundle.folder() / "seed.sql").read_text(encoding="utf-8"))


async def connect(admin_url: str) -> Any:
    """Return a connection that also works behind a transaction pooler.

    Raises:
        DatabaseUnavailable: Nobody answers there, or it refuses the login.
    """
    try:
        return await asyncpg.connect(admin_url, statement_cache_size=0, timeout=10)
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        where = place_of(admin_url)
        raise translate(error, doing="Connecting as the owner", where=where) from error


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn the server's refusal into one that names the file and what the server said."""
    try:
        yield
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        state = sqlstate_of(error)
        if not state or state.startswith(_CUT):
            raise DatabaseUnavailable(
                f"{what}: the connection was lost. Files are done whole or not at all: run the same"
                " command again."
            ) from error
        advice = _ADVICE.get(state, "")
        raise MigrationRefused(f"{what}: {error} ({state}){advice}") from error


@asynccontextmanager
async def _owner(url: str) -> AsyncIterator[Any]:
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _turn(connection: Any, what: str) -> AsyncIterator[None]:
    with refusals(what):
        async with connection.transaction():
            await connection.execute("select pg_catalog.pg_advisory_xact_lock($1)", _LOCK)
            yield


async def _apply(connection: Any, step: Migration, wanted: Sequence[Migration], tell: Tell) -> bool:
    async with _turn(connection, step.file):
        missing = history.missing(await history.versions(connection), wanted)
        if step not in missing:
            return False
        if missing[0] is not step:
            raise _turned_around(step)
        await _run(connection, step.script)
        await history.record(connection, step)
    tell(step)
    return True


async def _undo(connection: Any, step: Migration, tell: Tell) -> bool:
    async with _turn(connection, f"rollbacks/{step.file}"):
        there = await history.versions(connection)
        if step.version not in there:
            return False
        if step.version != max(there):
            raise _turned_around(step)
        await _run(connection, step.rollback or "")
        await history.forget(connection, step)
    tell(step)
    return True


async def _run(connection: Any, script: str) -> None:
    await connection.execute(script)
    # Its timeouts are not for what follows in the transaction, nor for whom a pooler gives the
    # connection to afterwards.
    await connection.execute("reset role; reset all")


def _or_ours(migrations: Sequence[Migration] | None) -> list[Migration]:
    return bundle.migrations() if migrations is None else list(migrations)


def _turned_around(step: Migration) -> MigrationRefused:
    return MigrationRefused(
        f"{step.file}: somebody else goes the other way at this moment. Run `assistants migrate"
        " --plan` and decide again."
    )
