"""From the insert to the wake-up: signed in SQL, sent over HTTP, verified, and only ever a hint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
from tests.support.listener import Listener
from tests.support.pg_net import PgNet, Weather, install_pg_net, install_vault, pumping
from tests.support.webhooks import PATH, PREVIOUS, SECRET, Service, serving


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


@pytest_asyncio.fixture
async def net(chat: Chat) -> AsyncIterator[PgNet]:
    install_pg_net(chat.database)
    install_vault(chat.database)
    async with httpx.AsyncClient() as client:
        yield PgNet(await chat.line().open(), client)


async def _point_at(net: PgNet, address: str, secret: str = SECRET) -> None:
    await net.configure(assistants_webhook_url=address + PATH, assistants_webhook_secret=secret)


async def test_a_message_wakes_workers_elsewhere_through_a_service(chat: Chat, net: PgNet) -> None:
    session = await chat.ada.start_session()
    listener = Listener(await chat.line().open(), "assistants_wake")
    url = await create_service_role(chat.database.url("postgres"))

    async with AsyncpgGateway(url, SystemClock(), size=1, timeout_s=5) as gateway:

        async def wake() -> None:
            await gateway.call("engine.wake_workers", {})

        async with serving(Service(SECRET, wake=wake).app) as address:
            await _point_at(net, address)
            await chat.ada.say(session)
            await listener.start()

            assert await net.send(await net.take()) == [202]

    assert await listener.heard() == ["run"]


async def test_while_the_secret_is_changed_no_webhook_is_lost(chat: Chat, net: PgNet) -> None:
    session = await chat.ada.start_session()

    async with serving(Service(SECRET, PREVIOUS).app) as address:
        for secret in (PREVIOUS, SECRET):
            await _point_at(net, address, secret)
            await chat.ada.say(session)

        assert await net.send(await net.take()) == [202, 202]

    async with serving(Service(SECRET).app) as address:
        await _point_at(net, address, PREVIOUS)
        await chat.ada.say(session)

        assert await net.send(await net.take()) == [401]


async def test_a_webhook_that_nobody_takes_leaves_the_message_to_whoever_looks(
    chat: Chat, net: PgNet
) -> None:
    session = await chat.ada.start_session()
    async with serving(Service(SECRET).app) as address:
        await _point_at(net, address)
    await chat.ada.say(session)

    assert await net.send(await net.take()) == [None]
    assert len(await chat.worker.claim()) == 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_webhooks_that_are_lost_tripled_late_or_in_another_order_change_no_answer(
    chat: Chat, net: PgNet, seed: int
) -> None:
    weather = Weather(seed, drop=0.2, triple=0.2, delay=0.2)
    woken = asyncio.Event()

    async def wake() -> None:
        woken.set()

    sessions = [await chat.ada.start_session() for _ in range(10)]
    async with serving(Service(SECRET, wake=wake).app) as address:
        await _point_at(net, address)
        over = asyncio.Event()
        answering = asyncio.create_task(_answer_when_woken(chat, woken, over))
        async with pumping(net, weather):
            for number in range(60):
                await chat.ada.say(sessions[number % 10], f"M{number}")
        over.set()
        woken.set()
        await answering

    assert 0 not in (weather.dropped, weather.tripled, weather.delayed)
    assert net.statuses == [202] * (60 - weather.dropped + 2 * weather.tripled)
    for session in sessions:
        assert await chat.statuses(session) == ["completed"] * 6
        replies = [row["run_id"] for row in await chat.messages(session) if row["run_id"]]
        assert len(set(replies)) == len(replies) == 6


async def _answer_when_woken(chat: Chat, woken: asyncio.Event, over: asyncio.Event) -> None:
    while not over.is_set():
        await woken.wait()
        woken.clear()
        # What a worker finds when it looks is answered.
        while claims := await chat.worker.claim():
            for claim in claims:
                await chat.worker.finish(claim)
