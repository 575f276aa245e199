"""What the doctor asks the database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from backend.domain.checks import Check, fails, holds
from backend.errors import AssistantsError, DatabaseUnavailable
from backend.integrations.supabase import bundle
from backend.integrations.supabase.policies import promised
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, translate

_TIMEOUT_S = 5.0
_MOST_SKEW_S = 2.0
_ROLE = """
select current_user as name, r.rolsuper, r.rolbypassrls,
    pg_has_role(current_user, 'assistants_engine', 'usage') as is_engine
from pg_roles as r where r.rolname = current_user
"""
_UNGUARDED = """
select n.nspname || '.' || c.relname from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where n.nspname in ('public', 'engine') and c.relkind in ('r', 'p') and not c.relrowsecurity
order by 1
"""
_POLICIES = """
select schemaname || '.' || tablename, policyname from pg_policies
where schemaname in ('public', 'engine')
"""
_WORKERS = "select (engine.readiness(15) ->> 'workers')::integer"


async def check_database(url: str) -> list[Check]:
    """Return the findings about the database, from reachable to its clock."""
    try:
        async with _session(url) as session:
            version = await session.fetchval("show server_version")
            found = [holds("database", f"PostgreSQL {version}")]
            for name, check in _CHECKS.items():
                found.append(await _asked(session, name, check))
            return found
    except AssistantsError as error:
        advice = "Set DATABASE_URL to the service's login; `assistants migrate --service-role`."
        return [fails("database", str(error), advice)]


async def _asked(session: Any, name: str, check: Callable[[Any], Awaitable[Check]]) -> Check:
    try:
        return await check(session)
    except asyncpg.PostgresError as error:
        return fails(name, str(error), "Run `assistants migrate`.")


async def _role(session: Any) -> Check:
    row = await session.fetchrow(_ROLE)
    advice = "Log in as the role of `assistants migrate --service-role`."
    if row["rolsuper"] or row["rolbypassrls"]:
        return fails("role", f"{row['name']} stands above row-level security", advice)
    if not row["is_engine"]:
        return fails("role", f"{row['name']} is no member of assistants_engine", advice)
    async with session.transaction():
        await session.execute("set local role authenticated")
    return holds("role", f"{row['name']}, may act as authenticated")


async def _schema(session: Any) -> Check:
    found = await session.fetchval("select engine.schema_version()")
    wanted = bundle.migrations()[-1].version
    if found == wanted:
        return holds("schema", f"version {found}")
    return fails("schema", f"version {found}, not {wanted}", "Run `assistants migrate`.")


async def _policies(session: Any) -> Check:
    advice = "Somebody changed the database by hand: compare it with supabase/policies."
    unguarded = [row[0] for row in await session.fetch(_UNGUARDED)]
    if unguarded:
        said = f"no row-level security on {', '.join(unguarded)}"
        return fails("policies", said, advice)
    there = {(table, name) for table, name in await session.fetch(_POLICIES)}
    wanted = promised(bundle.folder())
    if missing := sorted(wanted - there):
        return fails("policies", f"missing: {missing[0][1]}", advice)
    tables = {table for table, _ in wanted}
    if foreign := sorted(it for it in there - wanted if it[0] in tables):
        return fails("policies", f"unknown: {foreign[0][1]}", advice)
    return holds("policies", f"{len(wanted)} policies, row-level security on every table")


async def _clock(session: Any) -> Check:
    theirs = await session.fetchval("select clock_timestamp()")
    skew_s = abs((theirs - datetime.now(UTC)).total_seconds())
    said = f"{skew_s:.1f} s from the database's"
    if skew_s <= _MOST_SKEW_S:
        return holds("clock", said)
    return fails("clock", said, "Synchronise this machine's clock (NTP).")


async def _workers(session: Any) -> Check:
    count = await session.fetchval(_WORKERS)
    if count:
        return holds("worker", f"{count} reported lately")
    return fails("worker", "no worker has reported lately", "Start one: `assistants work`.")


_CHECKS: dict[str, Callable[[Any], Awaitable[Check]]] = {
    "role": _role,
    "schema": _schema,
    "policies": _policies,
    "clock": _clock,
    "worker": _workers,
}


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Any]:
    try:
        session = await asyncpg.connect(
            url, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S, statement_cache_size=0
        )
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        raise translate(error, doing="Connecting") from None
    try:
        yield session
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(f"The connection broke: {type(error).__name__}.") from None
    finally:
        session.terminate()
