"""The service's own database login: least rights, made by the operator, never by a migration."""

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from backend.errors import ServiceRoleRefused
from backend.integrations.supabase.dashboard import page, project_url
from backend.integrations.supabase.migrations import connect
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, translate

ROLE = "assistants_service"
ENGINE_ROLE = "assistants_engine"

_ITERATIONS = 4096
_LOCK = 7203911549
# Keys of a URL by which it may say whose it is.
_OWNERS = frozenset({"user", "password", "passfile"})
_REFUSED = "42501"
_MEMBERSHIP_OPTIONS = 16
# A worker gives way to whoever holds a lock, and nothing of it hangs for ever.
_TIMEOUTS = {
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
}
_ADVICE = """This login may not make the role {role} (PostgreSQL says {state}). Either run this as one that may,
in {editor}, then set DATABASE_URL to the login below:

{script}

or leave DATABASE_URL out: with SUPABASE_URL and SUPABASE_SECRET_KEY alone, workers and services go over
the Data API, and poll."""


async def create_service_role(admin_url: str, *, password: str | None = None) -> str:
    """Return the URL of the service's login; made if missing, its password is new each time.

    Args:
        admin_url: The owner's login, after the migrations.
        password: Chosen for it; random by default.

    Raises:
        ServiceRoleRefused: The host does not allow it; the message is the SQL to run instead, with
            the password's verifier and not the password.
        DatabaseUnavailable: The database cannot be reached.
    """
    chosen = password or secrets.token_urlsafe(32)
    url = service_url(admin_url, chosen)
    connection = await connect(admin_url)
    try:
        async with connection.transaction():
            statements = await _statements(connection, chosen)
        try:
            async with connection.transaction():
                # Two at once would print two passwords, of which one is wrong.
                await connection.execute("select pg_catalog.pg_advisory_xact_lock($1)", _LOCK)
                for statement in statements:
                    await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            said = _advice(admin_url, statements, _REFUSED)
            raise ServiceRoleRefused(said, service_url=url) from None
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            raise translate(error, doing="Making the service's login") from None
    finally:
        await connection.close()
    return url


async def has_service_role(admin_url: str) -> bool:
    """Return whether the server has the login; all databases of a server share its logins.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
    """
    connection = await connect(admin_url)
    try:
        found = "select exists (select from pg_catalog.pg_roles where rolname = $1 and rolcanlogin)"
        return bool(await connection.fetchval(found, ROLE))
    finally:
        await connection.close()


def service_url(admin_url: str, password: str) -> str:
    """Return the owner's URL with the service's login in it.

    A pooler's login `postgres.<project>` keeps its project.
    """
    url = urlsplit(admin_url)
    _, dot, project = (url.username or "").partition(".")
    host = url.netloc.rpartition("@")[2]
    login = f"{ROLE}{dot}{project}:{quote(password, safe='')}"
    # Where the owner is named behind the question mark.
    query = urlencode([it for it in parse_qsl(url.query) if it[0] not in _OWNERS])
    return urlunsplit(url._replace(netloc=f"{login}@{host}", query=query))


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


async def _statements(connection: Any, password: str) -> list[str]:
    exists = await connection.fetchval("select 1 from pg_catalog.pg_roles where rolname = $1", ROLE)
    verb = "alter" if exists else "create"
    # Since version 16 membership says by itself whether rights are inherited: a connection of
    # the service has a user's rights only between `set local role` and the end of a transaction.
    modern = connection.get_server_version().major >= _MEMBERSHIP_OPTIONS
    return [
        f"{verb} role {ROLE} login password '{scram_verifier(password)}'",
        *(f"alter role {ROLE} set {name} = '{value}'" for name, value in _TIMEOUTS.items()),
        f"grant {ENGINE_ROLE} to {ROLE}",
        f"grant authenticated to {ROLE}" + (" with inherit false, set true" if modern else ""),
    ]


def _advice(admin_url: str, statements: list[str], state: str) -> str:
    script = "\n".join(f"{statement};" for statement in ["begin", *statements, "commit"])
    editor = page(project_url(admin_url), "sql editor")
    return _ADVICE.format(role=ROLE, state=state, editor=editor, script=script)
