"""The webhook's sender: signed in SQL, sent at the commit, and never in the way of a message."""

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tests.support.browser import Browser
from tests.support.chat import Chat, open_chat
from tests.support.cluster import MAJORS, Database
from tests.support.identities import ADA, SERVICE
from tests.support.listener import Listener
from tests.support.pg_net import PgNet, Request, install_pg_net, install_vault
from tests.support.worker import text

_URL = "https://assistants.test/webhooks/messages"
_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
_CONFIGURED = {"assistants_webhook_url": _URL, "assistants_webhook_secret": _SECRET}
_WORDS = "the dragon's name"


@pytest_asyncio.fixture
async def net(chat: Chat) -> AsyncIterator[PgNet]:
    """Yield pg_net's stand-in in a project that has a webhook."""
    install_pg_net(chat.database)
    install_vault(chat.database)
    async with httpx.AsyncClient() as client:
        made = PgNet(chat.admin, client)
        await made.configure(**_CONFIGURED)
        yield made


@pytest.fixture
def poor_owner(database: Database) -> Iterator[None]:
    """The owner of the tables may read what it was granted, as without the platform's roles."""
    database.execute("revoke pg_read_all_data from postgres")
    yield
    database.execute("grant pg_read_all_data to postgres")


@pytest.mark.parametrize("major", MAJORS)
async def test_a_message_is_announced_by_one_signed_request_that_holds_its_ids_alone(
    database_of: Callable[[int], Database], major: int
) -> None:
    async with AsyncExitStack() as stack:
        chat = await open_chat(database_of(major), stack)
        install_pg_net(chat.database)
        install_vault(chat.database)
        net = PgNet(chat.admin, await stack.enter_async_context(httpx.AsyncClient()))
        await net.configure(**_CONFIGURED)
        session = await chat.ada.start_session()

        message = await chat.ada.say(session, _WORDS)

        (request,) = await net.take()
        assert (request.url, request.timeout_s) == (_URL, 2)
        assert request.headers["webhook-id"] == str(message)
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.body) == {
            "type": "INSERT",
            "schema": "public",
            "table": "messages",
            "record": {"id": str(message), "session_id": str(session)},
            "old_record": None,
        }
        Webhook(_SECRET).verify(request.body, request.headers)
        assert request.headers["webhook-signature"] == _signature_of(request)


@pytest.mark.parametrize("who", ["service", "owner"])
async def test_whoever_starts_a_run_by_a_message_sends_a_webhook(
    chat: Chat, net: PgNet, who: str
) -> None:
    session = await chat.ada.start_session()

    if who == "service":
        await chat.browser(SERVICE).say(session, "imported")
    else:
        owner = await chat.line("postgres").open()
        await owner.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
        )

    assert len(await net.take()) == 1


async def test_one_statement_sends_one_webhook_about_its_first_message(
    chat: Chat, net: PgNet
) -> None:
    session = await chat.ada.start_session()

    messages = await chat.ada.say_all(session, "a", "b", "c")

    (request,) = await net.take()
    assert json.loads(request.body)["record"]["id"] == str(messages[0])


async def test_a_message_that_is_rolled_back_sends_nothing(chat: Chat, net: PgNet) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.DivisionByZeroError):
        await _say_and_break_off(chat, session)

    assert await net.take() == []


async def test_what_starts_no_run_sends_nothing(chat: Chat, net: PgNet) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "M1", client_id="once")
    await net.take()
    service = chat.browser(SERVICE)

    await service.say(session, "imported", starts_run=False)
    await service.say(session, text("imported"), role="assistant")
    await chat.worker.finish(await chat.worker.claim_one())
    await chat.ada.fetch(
        "insert into public.messages (session_id, content, client_id) values ($1, $2, 'once')"
        " on conflict do nothing",
        session,
        "M1",
    )
    await chat.ada.change("update public.messages set metadata = '{}' where id = $1", message)
    await chat.ada.delete("messages", message)

    assert await net.take() == []


@pytest.mark.parametrize(
    "without",
    [
        "drop schema net cascade",
        "drop schema vault cascade",
        "drop schema net cascade; drop schema vault cascade",
        "drop view vault.decrypted_secrets",
        "drop function net.http_post",
        "delete from vault.secrets",
        "delete from vault.secrets where name = 'assistants_webhook_url'",
    ],
)
async def test_where_webhooks_are_not_switched_on_nothing_is_sent_or_said(
    chat: Chat, net: PgNet, without: str
) -> None:
    ada, said = await _overheard(chat)
    session = await chat.ada.start_session()
    await chat.admin.execute(without)

    await ada.say(session, _WORDS)

    assert await chat.statuses(session) == ["ready"]
    assert said == []
    if await chat.admin.fetchval("select to_regclass('net.http_request_queue')"):
        assert await net.take() == []


@pytest.mark.parametrize(
    ("broken", "sqlstate"),
    [
        ("revoke insert on net.http_request_queue from public", "42501"),
        ("revoke execute on function net.http_post from public", "42501"),
        ("delete from vault.secrets where name = 'assistants_webhook_secret'", "22023"),
        ("update vault.secrets set secret = 'not base64, of course'", "22023"),
        ("alter table net.http_request_queue add constraint full_disk check (false)", "23514"),
        ("drop table net.http_request_queue", "42P01"),
    ],
)
async def test_a_webhook_that_cannot_be_sent_fails_no_message_and_is_logged_without_a_word_of_it(
    chat: Chat, net: PgNet, broken: str, sqlstate: str
) -> None:
    ada, said = await _overheard(chat)
    session = await chat.ada.start_session()
    await chat.admin.execute(broken)

    await ada.say(session, _WORDS)

    assert await chat.statuses(session) == ["ready"]
    assert _log(said) == [f"webhook not sent: SQLSTATE {sqlstate}"]
    if await chat.admin.fetchval("select to_regclass('net.http_request_queue')"):
        assert await net.take() == []


@pytest.mark.parametrize(
    ("missing", "logged"),
    [
        ("usage on schema net from public", []),
        ("usage on schema vault from postgres", []),
        ("select on vault.decrypted_secrets from postgres", ["webhook not sent: SQLSTATE 42501"]),
    ],
)
@pytest.mark.usefixtures("poor_owner")
async def test_an_owner_without_the_rights_sends_nothing(
    chat: Chat, net: PgNet, missing: str, logged: list[str]
) -> None:
    ada, said = await _overheard(chat)
    session = await chat.ada.start_session()
    await chat.admin.execute(f"revoke {missing}")

    await ada.say(session, _WORDS)

    assert await chat.statuses(session) == ["ready"]
    assert await net.take() == []
    assert _log(said) == logged


@pytest.mark.parametrize(
    "wrong",
    [
        {"assistants_webhook_url": "no address"},
        {"assistants_webhook_url": ""},
        {"assistants_webhook_secret": "whsec_c2hvcnQ="},
        {"assistants_webhook_secret": "whsec_?"},
        {"assistants_webhook_secret": ""},
    ],
)
async def test_a_wrong_secret_or_address_fails_no_message_and_is_not_quoted(
    chat: Chat, net: PgNet, wrong: dict[str, str]
) -> None:
    await net.configure(**{**_CONFIGURED, **wrong})
    ada, said = await _overheard(chat)
    session = await chat.ada.start_session()

    await ada.say(session, _WORDS)

    assert await chat.statuses(session) == ["ready"]
    assert await net.take() == []
    assert [line.rpartition(" ")[0] for line in _log(said)] == ["webhook not sent: SQLSTATE"]


@pytest.mark.parametrize("table", ["net.http_request_queue", "vault.secrets"])
async def test_whoever_locks_a_table_of_the_sender_holds_up_no_message(
    chat: Chat, net: PgNet, table: str
) -> None:
    session = await chat.ada.start_session()
    locker = await chat.line().open()

    async with locker.transaction():
        await locker.execute(f"lock table {table} in access exclusive mode")
        async with chat.ada.transaction() as connection:
            await connection.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
            )
            assert await connection.fetchval("show lock_timeout") == "5s"

    assert await chat.statuses(session) == ["ready"]
    assert await net.take() == []


async def test_a_service_that_has_got_a_webhook_wakes_the_workers_that_listen(chat: Chat) -> None:
    listener = Listener(await chat.line().open(), "assistants_wake")
    await listener.start()
    service = await chat.line(role="assistants_engine").open()

    await service.execute("select engine.wake_workers()")

    assert await listener.heard() == ["run"]


async def test_a_message_waits_in_the_queue_of_the_sender(chat: Chat) -> None:
    install_pg_net(chat.database)
    install_vault(chat.database)
    for name, secret in _CONFIGURED.items():
        await chat.admin.execute("select vault.create_secret($1, $2)", secret, name)

    await chat.ada.say(await chat.ada.start_session())

    assert await chat.admin.fetchval("select count(*) from net.http_request_queue") == 1


async def _say_and_break_off(chat: Chat, session: UUID) -> None:
    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
        )
        await connection.execute("select 1 / 0")


def _signature_of(request: Request) -> str:
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    code = hmac.digest(bytes(range(32)), signed + request.body, "sha256")
    return "v1," + base64.b64encode(code).decode()


async def _overheard(chat: Chat) -> tuple[Browser, list[str]]:
    """Return Ada on a connection that is told what the server logs, and what it was told."""
    line = chat.line("authenticator", client_min_messages="log")
    said: list[str] = []
    connection = await line.open()
    connection.add_log_listener(lambda _connection, notice: said.append(_whole(notice)))
    return Browser(line, ADA), said


def _whole(notice: Any) -> str:
    # Not `query`: asyncpg itself adds the statement that it sent.
    parts = [notice.message, notice.detail, notice.hint, notice.internal_query, notice.context]
    return "\n".join(part for part in parts if part)


def _log(said: list[str]) -> list[str]:
    """Return the lines themselves, of which no part quotes anything."""
    assert not [quoted for quoted in (_WORDS, _URL, _SECRET) if quoted in "\n".join(said)]
    return [line.splitlines()[0] for line in said]
