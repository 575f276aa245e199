"""What only happens over HTTP: keys and tokens that are refused, and answers that are nobody's."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias
from uuid import uuid4

import pytest

from backend.errors import (
    AssistantsError,
    DatabaseRejected,
    DatabaseUnavailable,
    InputInvalid,
    SchemaMissing,
    Unauthenticated,
)
from backend.integrations.supabase.gateway_postgrest import PostgrestGateway
from backend.ports.clock import SystemClock
from backend.ports.gateway import Caller
from tests.support.chat import Chat
from tests.support.data_api import Project, is_served, open_project
from tests.support.identities import ADA

READINESS = ("engine.readiness", {"p_max_age_s": 15.0})


def gateway_to(url: str, **options: Any) -> PostgrestGateway:
    given = {"secret_key": "sb_secret_x", "publishable_key": "sb_publishable_x", **options}
    return PostgrestGateway(url, SystemClock(), size=2, **{"timeout_s": 10, **given})


Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    """Yield the URL of a server; its connections are closed afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def answering(
    status: str, body: bytes = b"", kind: str = "application/json", **headers: str
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield the URL of a server that gives every request this answer, and the requests it got."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        requests.append(head + await reader.readexactly(length))
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}connection: close\r\n"
        writer.write(f"{start}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with serving(answer) as url:
        yield url, requests


@pytest.fixture
async def project(chat: Chat) -> AsyncIterator[Project]:
    with open_project(chat.database) as made:
        await is_served(made)
        yield made


def said(code: str | None, message: str = "m", **more: Any) -> bytes:
    return json.dumps({"code": code, "message": message, **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("503 Unavailable", said("PGRST000"), DatabaseUnavailable),
        ("503 Unavailable", said("PGRST002"), DatabaseUnavailable),
        ("504 Timeout", said("PGRST003"), DatabaseUnavailable),
        ("500 Error", said("PGRSTX00"), DatabaseUnavailable),
        ("500 Error", said("57014"), DatabaseUnavailable),
        ("401 Unauthorized", said("PGRST301"), DatabaseRejected),
        ("401 Unauthorized", b'{"message": "Invalid API key"}', DatabaseRejected),
        ("403 Forbidden", b'{"message": "no"}', DatabaseUnavailable),
        ("404 Not Found", said("PGRST202"), SchemaMissing),
        ("406 Not Acceptable", said("PGRST106"), SchemaMissing),
        ("404 Not Found", said("42883"), SchemaMissing),
        ("404 Not Found", b'{"message": "no Route matched"}', DatabaseUnavailable),
        ("400 Bad Request", said("PGRST102"), DatabaseRejected),
        ("504 Timeout", said("GATEWAY_TIMEOUT"), DatabaseUnavailable),
        ("413 Too Large", b'{"message": "too large"}', DatabaseUnavailable),
        (
            "401 Unauthorized",
            said("42501", "permission denied for function service_x"),
            DatabaseRejected,
        ),
        ("200 OK", b'[{"run_id": "7b1e', DatabaseUnavailable),
        ("200 OK", b"", DatabaseUnavailable),
        ("200 OK", b'"\xff"', DatabaseUnavailable),
        ("400 Bad Request", said("PGRST999"), DatabaseRejected),
        ("429 Too Many Requests", b'{"message": "slow down"}', DatabaseUnavailable),
        ("400 Bad Request", b"[" * 5000, DatabaseUnavailable),
        ("200 OK", b"[" * 5000, DatabaseUnavailable),
        ("500 Error", b"null", DatabaseUnavailable),
    ],
)
async def test_an_answer_becomes_an_error_of_ours(
    status: str, body: bytes, error: type[AssistantsError]
) -> None:
    async with answering(status, body) as (url, _), gateway_to(url) as gateway:
        with pytest.raises(error) as raised:
            await gateway.call(*READINESS)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("200 OK", DatabaseUnavailable),
        ("301 Moved", DatabaseUnavailable),
        ("502 Bad Gateway", DatabaseUnavailable),
        ("401 Unauthorized", DatabaseUnavailable),
        ("540 Project Paused", DatabaseUnavailable),
    ],
)
async def test_a_page_for_people_is_no_answer_of_the_data_api(
    status: str, error: type[AssistantsError]
) -> None:
    page = b"<html>Sign in to the network</html>"
    elsewhere = {"location": "http://127.0.0.1:1/"}
    async with (
        answering(status, page, "text/html", **elsewhere) as (url, requests),
        gateway_to(url) as gateway,
    ):
        with pytest.raises(error) as raised:
            await gateway.call(*READINESS)
    assert type(raised.value) is error
    assert "Sign in" not in str(raised.value)
    assert len(requests) == 1


async def test_nothing_is_sent_twice_by_itself() -> None:
    async with (
        answering("503 Unavailable", said("PGRST001")) as (url, requests),
        gateway_to(url) as gateway,
    ):
        with pytest.raises(DatabaseUnavailable):
            await gateway.call(*READINESS)
    assert len(requests) == 1


async def test_what_was_rolled_back_is_sent_again_a_few_times() -> None:
    async with answering("500 Error", said("40P01")) as (url, requests), gateway_to(url) as gateway:
        with pytest.raises(AssistantsError, match="40P01"):
            await gateway.call(*READINESS)
    assert len(requests) == 5


async def test_what_the_server_says_stays_out_of_the_error() -> None:
    body = said("23505", "Key (content)=(my secret) exists", details="my secret", hint="my secret")
    async with answering("409 Conflict", body) as (url, _), gateway_to(url) as gateway:
        with pytest.raises(InputInvalid) as raised:
            await gateway.call(*READINESS)
    assert "my secret" not in repr(raised.value)
    assert raised.value.__cause__ is None


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as url, gateway_to(url, timeout_s=0.5) as gateway:
        with pytest.raises(DatabaseUnavailable):
            await gateway.call(*READINESS)


async def test_an_answer_that_drips_for_ever_is_given_up() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(drip) as url, gateway_to(url, timeout_s=0.5) as gateway:
        with pytest.raises(DatabaseUnavailable, match="TimeoutError"):
            await gateway.call(*READINESS)


async def test_a_secret_key_goes_where_the_official_client_puts_it_and_nowhere_else() -> None:
    async with answering("200 OK", b"null") as (url, requests), gateway_to(url) as gateway:
        await gateway.call(*READINESS)
        await gateway.call(
            "public.read_stream",
            {"p_session_id": str(uuid4())},
            identity=Caller({"sub": "user_2ada"}, "a.b.c"),
        )
    service, caller = requests
    assert service.lower().count(b"sb_secret_x") == 2
    assert b"sb_secret_x" not in service.partition(b"\r\n")[0]
    assert b"sb_secret_x" not in caller
    assert b"authorization: bearer a.b.c" in caller.lower()


async def test_a_wrong_secret_key_is_said_to_be_one(project: Project) -> None:
    async with gateway_to(project.url, secret_key="sb_secret_of_another") as gateway:
        with pytest.raises(DatabaseRejected, match="SUPABASE_SECRET_KEY"):
            await gateway.call(*READINESS)


async def test_a_wrong_publishable_key_is_said_to_be_one(project: Project) -> None:
    keys = {"secret_key": project.keys.secret_key, "publishable_key": "sb_publishable_of_another"}
    ada = Caller(dict(ADA.claims or {}), project.sign_in.token(ADA))
    async with gateway_to(project.url, **keys) as gateway:
        with pytest.raises(DatabaseRejected, match="SUPABASE_PUBLISHABLE_KEY"):
            await gateway.call("public.read_stream", {"p_session_id": str(uuid4())}, identity=ada)


async def test_what_no_json_can_carry_is_refused_before_it_is_sent() -> None:
    async with answering("200 OK", b"null") as (url, requests), gateway_to(url) as gateway:
        await gateway.call("engine.purge", {"p_limit": float("nan")})
        await gateway.call("engine.purge", {"p_limit": "\ud800 \x00"})
    assert [it.rpartition(b"\r\n")[2] for it in requests] == [
        b'{"p_limit":null}',
        '{"p_limit":"\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"}'.encode(),
    ]


async def test_a_token_that_the_project_does_not_trust_is_no_token(project: Project) -> None:
    keys = vars(project.keys)
    given = {name: keys[name] for name in ("secret_key", "publishable_key")}
    expired = project.sign_in.token(ADA, older_s=3600)
    async with gateway_to(project.url, **given) as gateway:
        for token in ("a.b.c", expired):
            caller = Caller(dict(ADA.claims or {}), token)
            with pytest.raises(Unauthenticated):
                await gateway.call(
                    "public.read_stream", {"p_session_id": str(uuid4())}, identity=caller
                )


async def test_claims_without_a_user_see_nothing(chat: Chat, project: Project) -> None:
    session = await chat.ada.start_session()
    arguments = {"p_session_id": str(session)}
    async with gateway_to(project.url, secret_key=project.keys.secret_key) as gateway:
        for claims in ({}, {"sub": ""}, {"sub": "user_2bob", "role": "service_role"}):
            found = await gateway.call("public.read_stream", arguments, identity=Caller(claims))
            assert found is None
