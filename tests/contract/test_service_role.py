"""The service's login: made by the operator, with the least rights."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from backend.errors import ServiceRoleRefused
from backend.integrations.supabase.service_role import (
    create_service_role,
    scram_verifier,
    service_url,
)
from tests.support.cluster import Database


@pytest.mark.parametrize("major", [15, 16, 18])
async def test_the_login_works_and_stands_under_row_level_security(
    database_of: Callable[[int], Database], major: int
) -> None:
    url = await create_service_role(database_of(major).url())
    connection: Any = await asyncpg.connect(url)
    row = await connection.fetchrow(
        "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as is_mighty,"
        " pg_has_role(current_user, 'assistants_engine', 'usage') as is_engine"
        " from pg_roles where rolname = current_user"
    )
    assert dict(row) == {"is_mighty": False, "is_engine": True}
    assert await connection.fetchval("select engine.claim_runs('w', 1, 10)") == "[]"
    for table in ("public.messages", "engine.runs", "engine.settings"):
        if major >= 16 or table.startswith("engine."):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {table}")
    async with connection.transaction():
        await connection.execute("set local role authenticated")
        assert await connection.fetch("select * from public.messages") == []
    await connection.close()


async def test_a_second_time_gives_a_new_password(database: Database) -> None:
    old = await create_service_role(database.url())
    new = await create_service_role(database.url())
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(old)
    await (await asyncpg.connect(new)).close()


async def test_a_given_password_is_kept(database: Database) -> None:
    url = await create_service_role(database.url(), password="given: p@ss/word")
    await (await asyncpg.connect(url)).close()


async def test_a_login_that_may_not_make_roles_is_told_what_to_do(database: Database) -> None:
    with pytest.raises(ServiceRoleRefused, match="grant assistants_engine to assistants_service"):
        await create_service_role(database.url("authenticator"))


def test_a_poolers_login_keeps_its_project() -> None:
    url = service_url("postgresql://postgres.abc:old@pooler.example.com:6543/postgres?a=b", "p/w")
    assert url == ("postgresql://assistants_service.abc:p%2Fw@pooler.example.com:6543/postgres?a=b")


def test_the_verifier_is_the_one_of_the_standard() -> None:
    # RFC 7677, section 3, for the user's password `pencil`.
    salt = bytes.fromhex("5b6d99689d123582c4f4b2e0")
    assert scram_verifier("pencil", salt=salt).startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY")
