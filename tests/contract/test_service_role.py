"""The service's login: made by the operator, with the least rights."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from backend.integrations.supabase.service_role import (
    create_service_role,
    scram_verifier,
    service_url,
)
from tests.contract.commands import assistants
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


@pytest.mark.parametrize("major", [15, 16, 18])
@pytest.mark.parametrize("is_there", [False, True])
async def test_a_host_that_refuses_prints_sql_that_makes_the_login_as_it_stands(
    database_of: Callable[[int], Database], major: int, *, is_there: bool
) -> None:
    database = database_of(major)
    if is_there:
        await create_service_role(database.url())
    else:
        # Another test's database of this server may have made it.
        database.execute("drop role if exists assistants_service")

    options = ["--service-role", "--new-password"]
    with tenant(database) as refused_url:
        done = await assistants("migrate", *options, ADMIN_DATABASE_URL=refused_url)

    url = re.fullmatch(r"DATABASE_URL=(\S+)\n", done.stdout)
    script = re.search(r"^begin;$.*^commit;$", done.stderr, re.MULTILINE | re.DOTALL)
    assert done.returncode == 1
    assert url
    assert script
    assert "SUPABASE_SECRET_KEY" in done.stderr
    assert unquote(urlsplit(url[1]).password or "") not in done.stderr
    owner: Any = await asyncpg.connect(database.url())
    await owner.execute(script[0])
    await owner.close()
    made: Any = await asyncpg.connect(url[1])
    assert await made.fetchval("select engine.claim_runs('w', 1, 10)") == "[]"
    assert await made.fetchval("show lock_timeout") == "2s"
    async with made.transaction():
        await made.execute("set local role authenticated")
    await made.close()


@contextmanager
def tenant(database: Database) -> Iterator[str]:
    """Yield a login that owns what `postgres` owns, and may make no roles."""
    database.execute("create role tenant bypassrls in role postgres")
    yield database.url("tenant")
    database.execute("drop role tenant")


async def test_two_at_once_do_not_print_a_password_that_is_not_the_logins(
    database: Database,
) -> None:
    made = await asyncio.gather(
        *(create_service_role(database.url("postgres")) for _ in range(4)), return_exceptions=True
    )
    urls = [it for it in made if isinstance(it, str)]
    assert len(urls) == 4, made
    works = 0
    for url in urls:
        try:
            await (await asyncpg.connect(url)).close()
        except asyncpg.InvalidPasswordError:
            continue
        works += 1
    # The last one's; each had its turn.
    assert works == 1


def test_a_url_that_names_the_owner_behind_the_question_mark_does_not_name_it_any_more() -> None:
    url = service_url("postgresql:///db?host=%2Ftmp&user=postgres&password=OWNER&sslmode=x", "pw")
    assert url == "postgresql://assistants_service:pw@/db?host=%2Ftmp&sslmode=x"


def test_a_poolers_login_keeps_its_project() -> None:
    url = service_url("postgresql://postgres.abc:old@pooler.example.com:6543/postgres?a=b", "p/w")
    assert url == ("postgresql://assistants_service.abc:p%2Fw@pooler.example.com:6543/postgres?a=b")


def test_the_verifier_is_the_one_of_the_standard() -> None:
    # RFC 7677, section 3, for the user's password `pencil`.
    salt = bytes.fromhex("5b6d99689d123582c4f4b2e0")
    assert scram_verifier("pencil", salt=salt).startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY")


async def test_a_login_that_is_there_keeps_its_password_unless_it_is_to_be_changed(
    database: Database,
) -> None:
    url = database.url("postgres")
    first = await create_service_role(url)
    kept = await assistants("migrate", "--service-role", ADMIN_DATABASE_URL=url)
    assert (kept.returncode, kept.stdout) == (0, "")
    assert "--new-password" in kept.stderr
    await (await asyncpg.connect(first)).close()
    changed = await assistants(
        "migrate", "--service-role", "--new-password", ADMIN_DATABASE_URL=url
    )
    assert changed.stdout.startswith("DATABASE_URL=")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(first)
    await (await asyncpg.connect(changed.stdout.strip().removeprefix("DATABASE_URL="))).close()
