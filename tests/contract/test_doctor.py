"""The doctor names what is wrong and what to do about it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

import pytest

from backend.domain.checks import Check
from backend.integrations.clerk.checks import check_issuer
from backend.integrations.supabase.checks import check_database
from backend.integrations.supabase.keys import check_keys
from tests.support.chat import Chat
from tests.support.processes import open_workshop, until
from tests.support.token_builder import jwk, rsa_key

KEYS = json.dumps({"keys": [jwk(rsa_key("one"))]})


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


async def test_a_sound_database_has_only_its_worker_missing(chat: Chat, service_url: str) -> None:
    assert chat.database
    found = by_name(await check_database(service_url))
    assert [name for name, check in found.items() if not check.ok] == ["worker"]
    assert found["worker"].advice


async def test_a_running_worker_is_seen(service_url: str) -> None:
    with open_workshop(service_url) as workshop:
        await workshop.ready()

        async def is_seen() -> bool:
            return by_name(await check_database(service_url))["worker"].ok

        await until(is_seen)


async def test_the_superuser_is_not_accepted_as_the_services_login(chat: Chat) -> None:
    found = by_name(await check_database(chat.database.url("supabase_admin")))
    assert not found["role"].ok
    assert "row-level security" in found["role"].found


async def test_a_login_without_the_engines_rights_is_not_accepted(chat: Chat) -> None:
    found = by_name(await check_database(chat.database.url("authenticator")))
    assert not found["role"].ok
    assert not found["schema"].ok


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("alter table public.messages disable row level security", "public.messages"),
        ("drop policy {policy} on public.messages", "missing"),
        ("create policy mine on public.messages using (true)", "unknown: mine"),
    ],
)
async def test_policies_that_were_changed_by_hand_are_found(
    chat: Chat, service_url: str, damage: str, found: str
) -> None:
    policy = await chat.admin.fetchval(
        "select quote_ident(policyname) from pg_policies where tablename = 'messages' limit 1"
    )
    await chat.admin.execute(damage.format(policy=policy))
    check = by_name(await check_database(service_url))["policies"]
    assert not check.ok
    assert found in check.found


async def test_a_schema_behind_this_version_is_found(chat: Chat, service_url: str) -> None:
    newest = "select max(version) from supabase_migrations.schema_migrations"
    await chat.admin.execute(
        f"delete from supabase_migrations.schema_migrations where version = ({newest})"
    )
    check = by_name(await check_database(service_url))["schema"]
    assert (check.ok, check.advice) == (False, "Run `assistants migrate`.")


async def test_a_database_that_is_not_there_is_the_only_finding() -> None:
    (check,) = await check_database("postgresql://service:s3cret@127.0.0.1:1/postgres")
    assert not check.ok
    assert "s3cret" not in check.found + check.advice


@pytest.mark.parametrize(
    ("key", "is_ok"),
    [("sb_secret_abc", True), ("eyJhbGciOi", False), ("nonsense", False), (None, False)],
)
def test_keys_are_judged_by_their_shape_and_never_shown(key: str | None, *, is_ok: bool) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x", "SUPABASE_SECRET_KEY": key}
    url, publishable, secret = check_keys("https://abc.supabase.co", keys)
    assert (url.ok, publishable.ok, secret.ok) == (True, True, is_ok)
    assert key is None or key not in secret.found


async def test_an_issuer_with_keys_and_the_right_time_is_sound() -> None:
    async with issuer(KEYS) as url:
        assert all(check.ok for check in await check_issuer(url))


async def test_an_issuer_without_keys_is_not() -> None:
    async with issuer('{"keys": []}') as url:
        (check,) = await check_issuer(url)
    assert not check.ok


async def test_an_issuer_that_is_not_there_is_not() -> None:
    (check,) = await check_issuer("http://127.0.0.1:1")
    assert not check.ok


async def test_a_clock_that_is_off_is_found() -> None:
    async with issuer(KEYS, clock=lambda: datetime.now(UTC) - timedelta(minutes=1)) as url:
        found = by_name(await check_issuer(url))
    assert not found["issuer clock"].ok


@asynccontextmanager
async def issuer(
    body: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[str]:
    """Yield the URL of an issuer that answers every request with this body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = format_datetime(clock(), usegmt=True)
        head = f"HTTP/1.1 {HTTPStatus.OK} OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
