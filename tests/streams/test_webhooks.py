"""Webhooks that are lost, tripled, late and out of order, with services that work and are deaf."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.faults.scene import BOTH_WAYS, script
from tests.streams.conftest import StreamScene
from tests.support.pg_net import PgNet, Weather, install_pg_net, install_vault, pumping
from tests.support.service import ServiceProcess
from tests.support.stream_reader import Transcript
from tests.support.webhooks import PATH, SECRET, STRANGER

pytestmark = BOTH_WAYS

# As behind a transaction pooler: nobody hears NOTIFY, and polls are a minute apart.
DEAF = {
    "WORKER_LISTEN": "off",
    "WORKER_POLL_S": "60",
    "WORKER_LEASE_S": "2",
    "WEBHOOK_SECRET": SECRET,
}


@pytest_asyncio.fixture
async def net(scene: StreamScene) -> AsyncIterator[PgNet]:
    """Yield what sends the project's webhooks."""
    install_pg_net(scene.chat.database)
    install_vault(scene.chat.database)
    async with httpx.AsyncClient() as client:
        yield PgNet(await scene.chat.line().open(), client)


async def _deaf(scene: StreamScene, net: PgNet, **settings: str) -> ServiceProcess:
    service = await scene.services.ready("--with-worker", **{**DEAF, **settings})
    await _configure(net, service, SECRET)
    return service


async def _configure(net: PgNet, service: ServiceProcess, secret: str) -> None:
    url = f"{service.url}{PATH}"
    await net.configure(assistants_webhook_url=url, assistants_webhook_secret=secret)


async def test_a_webhook_wakes_a_worker_that_hears_nothing_else(
    scene: StreamScene, net: PgNet
) -> None:
    service = await _deaf(scene, net)
    session = await scene.chat.ada.start_session()
    reader = await scene.reader(service, session)
    heard = Transcript()
    async with reader.open() as frames:
        heard.hear(await anext(frames))
        await scene.chat.ada.say(session, script(text="woken"))
        assert await net.send(await net.take()) == [202]
        async for frame in frames:
            heard.hear(frame)
            if heard.endings:
                break

    assert list(heard.texts.values()) == ["woken"]
    await scene.assert_sound()


@pytest.mark.parametrize(
    ("weather", "settings"),
    [
        (Weather(1, drop=1.0), {"WORKER_POLL_S": "0.2"}),
        (Weather(2, triple=1.0), {}),
        (Weather(3, delay=0.5, triple=0.2), {}),
        (Weather(4, drop=0.3, delay=0.3, triple=0.3), {"WORKER_POLL_S": "0.2"}),
    ],
    ids=["lost", "tripled", "late", "all of it"],
)
async def test_whatever_becomes_of_webhooks_each_message_gets_one_answer(
    scene: StreamScene, net: PgNet, weather: Weather, settings: dict[str, str]
) -> None:
    await _deaf(scene, net, **settings)
    async with pumping(net, weather):
        for _ in range(5):
            session = await scene.chat.ada.start_session()
            for number in range(4):
                await scene.chat.ada.say(session, script(text=f"answer {number}"))
    await scene.until_idle()

    await scene.assert_sound()
    assert await scene.admin.fetchval("select count(*) from engine.runs") == 20
    assert set(net.statuses) <= {202}


async def test_a_webhook_that_nobody_signed_wakes_nobody(scene: StreamScene, net: PgNet) -> None:
    service = await _deaf(scene, net)
    await _configure(net, service, STRANGER)
    await scene.ask("Hello")

    assert await net.send(await net.take()) == [401]
    assert await scene.count("status = 'ready'") == 1
