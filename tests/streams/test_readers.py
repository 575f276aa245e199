"""Who may read, how a stream ends, and readers that are slow or gone."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import psutil
import pytest

from tests.faults.scene import SLOW, script
from tests.streams.conftest import StreamScene
from tests.support.identities import ADA, BOB, user
from tests.support.processes import until
from tests.support.service import ORIGIN, ServiceProcess
from tests.support.stream_reader import Transcript

HEARING = "wakeups.listening_started"
LOST = "wakeups.listening_lost"
LONG = script(text="word " * 40_000)
RUN = "00000000-0000-4000-8000-00000000000a"


async def _get(service: ServiceProcess, path: str, **headers: str) -> httpx.Response:
    async with service.client() as client:
        return await client.get(path, headers=headers)


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_another_users_session_looks_like_one_that_is_not_there(scene: StreamScene) -> None:
    service = await scene.services.ready()
    session = await scene.chat.ada.start_session()
    token = scene.sign_in.token(BOB)

    answers = [
        await _get(service, f"/sessions/{name}/events", **_bearer(token))
        for name in (session, uuid4(), "no-uuid", "%00")
    ]

    assert {answer.status_code for answer in answers} == {404}
    bodies = [answer.json()["error"] for answer in answers]
    assert {(body["code"], body["message"]) for body in bodies} == {
        ("not_found", "There is no such session, or it is not yours.")
    }


async def test_members_follow_their_organisations_session_and_who_has_left_does_not(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready()
    starter, member = user("user_2eve", org_id="org_1"), user("user_2mallory", org_id="org_1")
    session = await scene.chat.browser(starter).start_session()
    path = f"/sessions/{session}/events"

    for who in (starter, member):
        reader = await scene.reader(service, session, who)
        async with reader.open() as frames:
            assert (await anext(frames)).event["type"] == "stream.opened"
        left = _bearer(scene.sign_in.token(user(who.sub)))
        assert (await _get(service, path, **left)).status_code == 404


async def test_a_token_is_taken_from_the_header_alone(scene: StreamScene) -> None:
    service = await scene.services.ready()
    session = await scene.chat.ada.start_session()
    token = scene.sign_in.token(ADA)
    path = f"/sessions/{session}/events"

    answers = [
        await _get(service, path),
        await _get(service, f"{path}?token={token}&access_token={token}"),
        await _get(service, path, cookie=f"__session={token}"),
        await _get(service, path, authorization=token),
        await _get(service, path, authorization=f"Basic {token}"),
        await _get(service, path, authorization="Bearer"),
        await _get(service, path, authorization=f"Bearer {token[:-4]}AAAA"),
        await _get(service, path, authorization=f"Bearer {scene.sign_in.token(ADA, older_s=70)}"),
    ]

    assert [answer.status_code for answer in answers] == [401] * 8
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert token not in service.log_text()


@pytest.mark.parametrize("event_id", ["7", "x:1", f"{RUN}:-1", f"{RUN}:99999999999"])
async def test_a_malformed_last_event_id_is_refused(scene: StreamScene, event_id: str) -> None:
    service = await scene.services.ready()
    session = await scene.chat.ada.start_session()
    headers = {**_bearer(scene.sign_in.token(ADA)), "last-event-id": event_id}

    answer = await _get(service, f"/sessions/{session}/events", **headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "request_invalid")


async def test_a_browser_of_an_allowed_origin_may_read(scene: StreamScene) -> None:
    service = await scene.services.ready()
    path = f"/sessions/{uuid4()}/events"

    ours = await _get(service, path, origin=ORIGIN)
    others = await _get(service, path, origin="https://evil.example")

    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in others.headers


async def test_a_stream_outlives_its_token_by_seconds_and_asks_for_a_fresh_one(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready()
    session = await scene.chat.ada.start_session()
    reader = await scene.reader(service, session)
    # It ended two seconds ago; three are left of those by which a stream outlives it.
    reader._token = lambda: scene.sign_in.token(ADA, older_s=62)  # noqa: SLF001

    async with reader.open() as frames:
        heard = [frame.event async for frame in frames]

    assert heard == [
        {"type": "stream.opened", "resumed": False},
        {"type": "stream.closed", "reason": "reauth"},
    ]


async def test_the_stream_of_a_deleted_session_ends(scene: StreamScene) -> None:
    service = await scene.services.ready()
    session = await scene.chat.ada.start_session()
    reader = await scene.reader(service, session)

    async with reader.open() as frames:
        await anext(frames)
        await scene.chat.ada.delete("chat_sessions", session)
        last = [frame.event async for frame in frames]

    assert last == [{"type": "stream.closed", "reason": "gone"}]


async def test_a_silent_stream_says_that_it_lives(scene: StreamScene) -> None:
    service = await scene.services.ready(API_HEARTBEAT_S="0.1")
    session = await scene.chat.ada.start_session()
    headers = _bearer(scene.sign_in.token(ADA))

    async with (
        service.client() as client,
        client.stream("GET", f"/sessions/{session}/events", headers=headers) as response,
    ):
        comments = (line async for line in response.aiter_lines() if line.startswith(":"))
        heard = [await anext(comments) for _ in range(3)]

    assert heard == [": still here"] * 3


async def test_a_user_who_opens_too_many_streams_is_told_when_to_come_back(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready(API_MAX_STREAMS_PER_USER="2")
    session = await scene.chat.ada.start_session()
    reader = await scene.reader(service, session)

    async with reader.open() as one, reader.open() as other:
        await anext(one)
        await anext(other)
        headers = _bearer(scene.sign_in.token(ADA))
        answer = await _get(service, f"/sessions/{session}/events", **headers)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


@asynccontextmanager
async def _stalled(
    scene: StreamScene, service: ServiceProcess, session: UUID, count: int
) -> AsyncIterator[list[socket.socket]]:
    """Yield readers that ask and then read nothing."""
    place = urlsplit(service.url)
    token = scene.sign_in.token(ADA)
    sockets = []
    for _ in range(count):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((place.hostname, place.port))
        request = f"GET /sessions/{session}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        made.sendall(request.encode())
        sockets.append(made)
    try:
        yield sockets
    finally:
        for made in sockets:
            made.close()


async def test_readers_who_read_nothing_cost_little_and_delay_nobody(scene: StreamScene) -> None:
    service = await scene.services.ready(API_MAX_STREAMS_PER_USER="100")
    await scene.workshop.ready()
    session = await scene.chat.ada.start_session()
    process = psutil.Process(service.pid)
    heard = Transcript()
    async with _stalled(scene, service, session, 40):
        reader = await scene.reader(service, session)
        async with reader.open() as frames:
            await anext(frames)
            before = process.memory_info().rss
            # Twelve megabytes of events, of which forty readers would hold half a gigabyte.
            for _ in range(60):
                await scene.chat.ada.say(session, LONG)
            async for frame in frames:
                heard.hear(frame)
                if len(heard.endings) == 60:
                    break
            grown = process.memory_info().rss - before
    stored = await scene.texts(session)
    assert stored == {
        run: heard.texts[ending["message_id"]] for run, ending in heard.endings.items()
    }
    assert grown < 100_000_000


async def test_readers_who_hang_up_are_forgotten(scene: StreamScene) -> None:
    service = await scene.services.ready(API_MAX_STREAMS_PER_USER="5")
    await scene.workshop.ready()
    session = await scene.chat.ada.start_session()
    reader = await scene.reader(service, session)
    await scene.chat.ada.say(session, SLOW)

    async def can_open() -> bool:
        headers = _bearer(scene.sign_in.token(ADA))
        async with (
            service.client() as client,
            client.stream("GET", f"/sessions/{session}/events", headers=headers) as response,
        ):
            return response.status_code == 200

    for _ in range(20):
        async with asyncio.timeout(10):
            await until(can_open)
        async with reader.open() as frames:
            await anext(frames)


async def test_readers_who_take_nothing_do_not_hold_up_the_end(scene: StreamScene) -> None:
    service = await scene.services.ready(API_MAX_STREAMS_PER_USER="100")
    await scene.workshop.ready()
    session = await scene.chat.ada.start_session()
    async with _stalled(scene, service, session, 20):
        reader = await scene.reader(service, session)
        async with reader.open() as frames:
            await anext(frames)
            for _ in range(30):
                await scene.chat.ada.say(session, LONG)
            await scene.until_idle()
        service.ask_to_stop()
        assert await service.ended(within_s=12) == 0


async def test_idle_connections_make_room_for_whoever_asks(scene: StreamScene) -> None:
    service = await scene.services.ready()
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (200, 200))
    place = urlsplit(service.url)
    idle = []
    for _ in range(230):
        made = socket.create_connection((place.hostname, place.port))
        made.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        idle.append(made)

    answer = await _get(service, "/healthz")

    for made in idle:
        made.close()
    assert answer.status_code == 200
    assert len(service.log_text().splitlines()) < 1000


async def test_a_service_that_may_not_log_in_for_a_while_hears_again_afterwards(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready()

    async def hears(times: int = 1) -> bool:
        return len(service.logged(HEARING)) >= times

    await until(hears)
    await scene.admin.execute("alter role assistants_service nologin")
    await scene.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'assistants-listener'"
    )

    async def is_refused() -> bool:
        return any(it["code"] != "database_unavailable" for it in service.logged(LOST))

    await until(is_refused)
    await scene.admin.execute("alter role assistants_service login")
    await until(partial(hears, 2))
