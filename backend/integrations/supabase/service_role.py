"""The service's own database login: least rights, made by the operator, never by a migration."""

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from backend.errors import ServiceRoleRefused
from backend.integrations.supabase.migrations import connect

ROLE = "assistants_service"
ENGINE_ROLE = "assistants_engine"

_ITERATIONS = 4096
_MEMBERSHIP_OPTIONS = 16
# A worker gives way to whoever holds a lock, and nothing of it hangs for ever.
_TIMEOUTS = {
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
}
_ADVICE = (
    f"This login may not make the role {ROLE}: {{said}}. Run as a role that may (on Supabase: "
    f"`postgres`): create role {ROLE} login password '…'; "
    f"grant {ENGINE_ROLE} to {ROLE}; grant authenticated to {ROLE}; then set DATABASE_URL to its "
    "login yourself."
)


async def create_service_role(admin_url: str, *, password: str | None = None) -> str:
    """Return the URL of the service's login; made if missing, its password is new each time.

    Args:
        admin_url: The owner's login, after the migrations.
        password: Chosen for it; random by default.

    Raises:
        ServiceRoleRefused: The host does not allow it; the message says what to do.
        DatabaseUnavailable: The database cannot be reached.
    """
    chosen = password or secrets.token_urlsafe(32)
    connection = await connect(admin_url)
    try:
        async with connection.transaction():
            await _make(connection, chosen)
    except asyncpg.PostgresError as error:
        raise ServiceRoleRefused(_ADVICE.format(said=error)) from error
    finally:
        await connection.close()
    return service_url(admin_url, chosen)


def service_url(admin_url: str, password: str) -> str:
    """Return the owner's URL with the service's login in it.

    A pooler's login `postgres.<project>` keeps its project.
    """
    url = urlsplit(admin_url)
    _, dot, project = (url.username or "").partition(".")
    host = url.netloc.rpartition("@")[2]
    login = f"{ROLE}{dot}{project}:{quote(password, safe='')}"
    return urlunsplit(url._replace(netloc=f"{login}@{host}"))


def scram_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores, so that no statement log ever holds the password.

    Source:
        RFC 5802, section 3; PostgreSQL's `pg_authid.rolpassword`.
    """
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(it).decode() for it in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"


async def _make(connection: Any, password: str) -> None:
    exists = await connection.fetchval("select 1 from pg_catalog.pg_roles where rolname = $1", ROLE)
    verb = "alter" if exists else "create"
    await connection.execute(f"{verb} role {ROLE} login password '{scram_verifier(password)}'")
    # Since version 16 membership says by itself whether rights are inherited: a connection of
    # the service has a user's rights only between `set local role` and the end of a transaction.
    modern = connection.get_server_version().major >= _MEMBERSHIP_OPTIONS
    for name, value in _TIMEOUTS.items():
        await connection.execute(f"alter role {ROLE} set {name} = '{value}'")
    await connection.execute(f"grant {ENGINE_ROLE} to {ROLE}")
    await connection.execute(
        f"grant authenticated to {ROLE}" + (" with inherit false, set true" if modern else "")
    )
