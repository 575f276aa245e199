"""What the doctor tries with the service's own login."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg

from backend.domain.checks import Check, any_failed, fails, holds, warns
from backend.integrations.supabase.dashboard import project_url
from backend.integrations.supabase.login import NAME, POOLER_PORT, check_shape, refused, split
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, sqlstate_of

_TIMEOUT_S = 5.0
_HEARD_S = 2.0
_CHANNEL = "assistants_doctor"
_ROLE = """
select current_user as name, r.rolsuper, r.rolbypassrls,
    exists (
        select from pg_catalog.pg_roles as e where e.rolname = 'assistants_engine'
        and pg_catalog.pg_has_role(current_user, e.oid, 'usage')
    ) as is_engine,
    exists (
        select from pg_catalog.pg_roles as a where a.rolname = 'authenticated'
        and pg_catalog.pg_has_role(current_user, a.oid, 'member')
    ) as may_act
from pg_catalog.pg_roles as r where r.rolname = current_user
"""


async def check_login(
    url: str,
    supabase_url: str | None,
    *,
    listen: Literal["auto", "on", "off"],
    through_pooler: bool,
) -> list[Check]:
    """Return whether the login works, has the right rights, and can hear.

    Args:
        url: Of the login.
        supabase_url: The project's, for the pages of its dashboard.
        listen: WORKER_LISTEN.
        through_pooler: The settings expect a pooler in transaction mode.
    """
    supabase_url = supabase_url or project_url(url)
    if wrong := check_shape(url, supabase_url):
        return [wrong]
    try:
        async with _session(url) as session:
            version = session.get_server_version()
            found = [holds(NAME, f"PostgreSQL {version.major} takes the login")]
            found.append(await _check_role(session))
    except (asyncpg.PostgresError, ValueError, *CONNECTION_ERRORS) as error:
        return [refused(url, error, supabase_url)]
    if any_failed(found):
        return found
    return [*found, await _check_wakeups(url, listen=listen, through_pooler=through_pooler)]


async def _check_role(session: Any) -> Check:
    advice = "Log in as the role of `assistants migrate --service-role`."
    async with session.transaction():
        row = await session.fetchrow(_ROLE)
    if row["rolsuper"] or row["rolbypassrls"]:
        return fails("role", f"{row['name']} stands above row-level security", advice)
    if not row["is_engine"]:
        return fails("role", f"{row['name']} is no member of assistants_engine", advice)
    if not row["may_act"]:
        return fails("role", f"{row['name']} may not act as authenticated", advice)
    try:
        async with session.transaction():
            await session.execute("set local role authenticated")
    except asyncpg.PostgresError as error:
        said = f"{row['name']} may not act as authenticated ({sqlstate_of(error)})"
        return fails("role", said, advice)
    return holds("role", f"{row['name']}, may act as authenticated")


async def _check_wakeups(
    url: str, *, listen: Literal["auto", "on", "off"], through_pooler: bool
) -> Check:
    name = "wake-ups"
    if listen == "off":
        return holds(name, "WORKER_LISTEN=off: workers poll every WORKER_POLL_S seconds")
    try:
        if await _hears(url):
            return holds(name, "LISTEN works")
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        what = sqlstate_of(error) or type(error).__name__
        return warns(name, f"not checked: {what}", "Run `assistants doctor` again.")
    if not through_pooler:
        advice = "Set DATABASE_TRANSACTION_POOLER=true, or use the session pooler's port."
        return fails(name, "LISTEN is taken and delivers nothing: a transaction pooler", advice)
    parts = split(url)
    port = f"port {POOLER_PORT}: " if parts and parts.port == POOLER_PORT else ""
    said = f"{port}a transaction pooler has no LISTEN, so workers poll every WORKER_POLL_S seconds"
    advice = (
        "Correct, and up to that much slower: take the session pooler (port 5432), or"
        " `assistants webhook https://<service>`."
    )
    return warns(name, said, advice)


async def _hears(url: str) -> bool:
    """Return whether a notification of one connection reaches another that listens."""
    heard = asyncio.Event()
    word = secrets.token_hex(8)

    def on_notice(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        if payload == word:
            heard.set()

    async with _session(url) as listening:
        await listening.add_listener(_CHANNEL, on_notice)
        # From elsewhere: a pooler may bring it back to whoever sends it, and to nobody else.
        async with _session(url) as telling:
            await telling.execute(f"notify {_CHANNEL}, '{word}'")
        try:
            async with asyncio.timeout(_HEARD_S):
                await heard.wait()
        except TimeoutError:
            return False
    return True


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Any]:
    session = await asyncpg.connect(
        url, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S, statement_cache_size=0
    )
    try:
        yield session
    finally:
        session.terminate()
