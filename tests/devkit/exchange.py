"""Requests to a stack, below the official clients."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import jwt
from supabase import Client, ClientOptions, create_client

from backend.devkit import tokens
from backend.devkit.folder import StackFolder
from backend.devkit.tokens import Subject
from tests.support.stack import Stack


def ask(
    stack: Stack, method: str, path: str, *, token: str | None = None, **more: Any
) -> httpx.Response:
    """Return the answer to a request with the publishable key and perhaps a user's token."""
    headers = {"apikey": stack.facts["publishable_key"], **more.pop("headers", {})}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # Loading the system's certificates takes longer than the request.
    with httpx.Client(base_url=stack.facts["supabase_url"], timeout=20, verify=False) as client:
        return client.request(method, path, headers=headers, **more)


@contextmanager
def supabase_py(stack: Stack, token: str) -> Iterator[Client]:
    """Yield the official client of a signed-in user."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(timeout=20) as transport:
        options = ClientOptions(headers=headers, httpx_client=transport)
        yield create_client(stack.facts["supabase_url"], stack.facts["publishable_key"], options)


def user_token(stack: Stack, user: str = "user_ada") -> str:
    """Return a token of the stack's issuer, made in this process because that is quick."""
    key = tokens.load_key(StackFolder(stack.data).issuer_key)
    return tokens.mint(key, stack.facts["issuer_url"], Subject(user), now_s=int(time.time()))


def altered_token(stack: Stack, **changes: Any) -> str:
    """Return a token that the issuer's key has signed, with other claims; None leaves one out."""
    claims = jwt.decode(user_token(stack), options={"verify_signature": False})
    wanted = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    key = tokens.load_key(StackFolder(stack.data).issuer_key)
    headers = {"kid": tokens.key_id(key), "typ": "JWT"}
    return jwt.encode(wanted, key, algorithm="RS256", headers=headers)


def run_sql(stack: Stack, script: str) -> list[Any]:
    """Return the rows of the last statement, run as the owner of the project."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(stack.facts["admin_database_url"])
        try:
            if ";" in script.strip().rstrip(";"):
                await connection.execute(script)
                return []
            return list(await connection.fetch(script))
        finally:
            await connection.close()

    return asyncio.run(run())


def grants(stack: Stack) -> list[Any]:
    """Return every grant and owner in the database."""
    return run_sql(
        stack,
        "select relnamespace, relname, relacl::text, relowner from pg_class"
        " union all select pronamespace, proname, proacl::text, proowner from pg_proc"
        " union all select oid, nspname, nspacl::text, nspowner from pg_namespace"
        " union all select oid, '', defaclacl::text, defaclrole from pg_default_acl"
        " union all select attrelid, attname, attacl::text, 0 from pg_attribute"
        " where attacl is not null order by 1, 2, 3",
    )


def wait_until_known(stack: Stack, table: str) -> None:
    """The Data API has read the schema with this table."""
    deadline = time.monotonic() + 10
    while ask(stack, "GET", f"/rest/v1/{table}").status_code == 404:
        assert time.monotonic() < deadline, f"{table} is not known after 10 s"
        time.sleep(0.02)
