"""The database's side of the webhook: pg_net, and two secrets in Vault, both or none."""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from backend.errors import WebhookRefused
from backend.integrations.supabase.dashboard import page, project_url
from backend.integrations.supabase.migrations import connect
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, sqlstate_of, translate

_URL = "assistants_webhook_url"
_SECRET = "assistants_webhook_secret"  # noqa: S105 - its name in Vault
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_POLLING = "Without the webhook everything works: workers listen, or poll."
_LOCK = 7203911548
_PARTS = "select engine.diagnose() ->> 'webhook'"
_READ = "select decrypted_secret from vault.decrypted_secrets where name = $1"
_FORGET = "delete from vault.secrets where name = $1"
_KEEP = "select vault.create_secret($1, $2)"
# Drawn by the server and read as a result: a parameter may stand in its log. Two random uuids are
# 32 bytes, of which all but twelve bits are random.
_DRAW = """
select vault.create_secret('whsec_' || pg_catalog.encode(pg_catalog.decode(pg_catalog.replace(
    pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', ''), 'hex'),
    'base64'), $1)
"""


@dataclass(frozen=True, slots=True)
class WebhookSetup:
    """What the database does now."""

    url: str
    secret: str | None
    """The new one; None where the old one stays."""
    previous: str | None
    """The one that it replaces, where there was one."""


async def set_up(admin_url: str, url: str | None, *, rotate: bool) -> WebhookSetup:
    """Return what the database does now: it signs and sends, or nothing has changed.

    Args:
        admin_url: The owner's login, after the migrations.
        url: Where to; None for where it went before.
        rotate: Sign with a new secret, even where there is one.

    Raises:
        WebhookRefused: pg_net, Vault or a migration is missing; the message says what to do.
        DatabaseUnavailable: The database cannot be reached.
    """
    async with _as_owner(admin_url) as connection:
        extensions = page(project_url(admin_url), "extensions")
        await _make_pg_net(connection, extensions)
        await _check_vault(connection, extensions)
        goes_to = url or await connection.fetchval(_READ, _URL)
        if goes_to is None:
            raise WebhookRefused("Say where the service is: `assistants webhook https://…`.")
        old = await connection.fetchval(_READ, _SECRET)
        is_kept = _is_secret(old) and not rotate
        # In this order: an address without a secret would be a failure with each message.
        made = None if is_kept else await _draw_secret(connection)
        if url:
            await _store(connection, _URL, url)
        await _check_all(connection)
    return WebhookSetup(goes_to, made, old if made and _is_secret(old) else None)


async def switch_off(admin_url: str) -> bool:
    """Return whether there was an address; the database sends nothing any more.

    Raises:
        WebhookRefused: Vault may not be written.
        DatabaseUnavailable: The database cannot be reached.
    """
    async with _as_owner(admin_url) as connection:
        if await connection.fetchval("select to_regclass('vault.secrets')") is None:
            return False
        return bool(await connection.execute(_FORGET, _URL) != "DELETE 0")


@asynccontextmanager
async def _as_owner(admin_url: str) -> AsyncIterator[Any]:
    """Yield a transaction; what the server says of a failure may quote a secret and is left out."""
    connection = await connect(admin_url)
    try:
        async with connection.transaction():
            await connection.execute("set local lock_timeout = '5s'")
            await connection.execute("set local statement_timeout = '30s'")
            await connection.execute("select pg_catalog.pg_advisory_xact_lock($1)", _LOCK)
            yield connection
    except asyncpg.PostgresError as error:
        said = f"Nothing was changed: PostgreSQL says {sqlstate_of(error)}."
        raise WebhookRefused(f"{said} {_POLLING}") from None
    except CONNECTION_ERRORS as error:
        raise translate(error, doing="Setting up the webhook") from None
    finally:
        connection.terminate()


async def _make_pg_net(connection: Any, extensions: str) -> None:
    if (await _parts(connection))["pg_net"]:
        return
    try:
        async with connection.transaction():
            await connection.execute("create extension if not exists pg_net")
    except asyncpg.PostgresError as error:
        raise WebhookRefused(
            f"This login may not make the extension pg_net ({sqlstate_of(error)}). Switch it on in"
            f" {extensions} and run this again. {_POLLING}"
        ) from None


async def _check_vault(connection: Any, extensions: str) -> None:
    if not (await _parts(connection))["vault"]:
        raise WebhookRefused(
            "Vault is missing, or the owner of the tables may not read it. Switch on the extension"
            f" supabase_vault in {extensions} and run this again. {_POLLING}"
        )


async def _check_all(connection: Any) -> None:
    parts = await _parts(connection)
    if lacking := sorted(part for part, is_there in parts.items() if not is_there):
        said = f"The owner of the tables cannot reach {', '.join(lacking)}: nothing was changed."
        raise WebhookRefused(f"{said} Is ADMIN_DATABASE_URL the login that migrated?")


async def _parts(connection: Any) -> dict[str, bool]:
    try:
        return dict(json.loads(await connection.fetchval(_PARTS)))
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError):
        raise WebhookRefused("A migration is missing: run `assistants migrate`.") from None


async def _draw_secret(connection: Any) -> str:
    await connection.execute(_FORGET, _SECRET)
    await connection.execute(_DRAW, _SECRET)
    return str(await connection.fetchval(_READ, _SECRET))


async def _store(connection: Any, name: str, value: str) -> None:
    await connection.execute(_FORGET, name)
    await connection.execute(_KEEP, value, name)


def _is_secret(value: str | None) -> bool:
    if value is None or not value.startswith(_PREFIX):
        return False
    try:
        return len(base64.b64decode(value.removeprefix(_PREFIX), validate=True)) in _KEY_BYTES
    except binascii.Error:
        return False
