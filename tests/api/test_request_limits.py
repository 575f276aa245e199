"""Requests that are too large, too slow, too many or no requests at all, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import APIRouter, Request
from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.testing import capture_logs

from backend.api.application import ServiceLimits
from backend.api.body_limits import BodyLimits
from backend.api.server import ServerLimits
from tests.api.scene import ORIGIN, Gate, asking, running, service
from tests.support.processes import until

TEN_MB = 10_000_000
JSON = {"content-type": "application/json"}


class Counter:
    """Routes that say how many bytes they got, and whether they were called at all."""

    def __init__(self) -> None:
        self.called = 0
        self.routes = APIRouter()
        self.routes.post("/count")(self.count)

    async def count(self, request: Request) -> dict[str, int]:
        self.called += 1
        return {"bytes": len(await request.body())}


async def parts_of(size: int) -> AsyncIterator[bytes]:
    """Yield so many bytes in chunks."""
    for _ in range(0, size, 50_000):
        yield b"x" * 50_000


def limited(counter: Counter, **limits: Any) -> Any:
    """Return the service with these limits on bodies."""
    return service(counter.routes, limits=ServiceLimits(body=BodyLimits(**limits)))


async def answer_while_dripping(port: int, head: bytes) -> bytes:
    """Return what comes to somebody who goes on sending, also where that resets the connection."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setblocking(False)
        await loop.sock_sendall(connection, head)
        answering = asyncio.create_task(_until_closed(connection))
        while not answering.done():
            with suppress(ConnectionError):
                await loop.sock_sendall(connection, b"x")
            await asyncio.wait([answering], timeout=0.02)
        return answering.result()


async def _until_closed(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    answer = bytearray()
    with suppress(ConnectionResetError):
        while part := await loop.sock_recv(connection, 65_536):
            answer += part
    return bytes(answer)


def error_of(answer: bytes) -> Any:
    """Return the error in a plain HTTP answer."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_ten_megabytes_is_refused_and_the_answer_arrives(chunked: bool) -> None:
    counter = Counter()
    async with running(limited(counter)) as it, it.client() as client:
        content = parts_of(TEN_MB) if chunked else b"x" * TEN_MB
        response = await client.post("/count", content=content, headers={"origin": ORIGIN})
        again = await client.post("/count", content=b"x")
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "payload_too_large"
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["connection"] == "close"
    assert again.json() == {"bytes": 1}
    assert counter.called == 1


async def test_a_body_that_announces_too_much_is_refused_before_it_is_sent() -> None:
    async with running(limited(Counter())) as it:
        answer = await it.say(
            b"POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 1000001\r\n"
            b"expect: 100-continue\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(1_000_000, 200), (1_000_001, 413)])
async def test_the_limit_itself_is_allowed(size: int, status: int, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * size

    async with running(limited(Counter())) as it, it.client() as client:
        content = chunks() if chunked else b"x" * size
        response = await client.post("/count", content=content)
    assert response.status_code == status


async def test_a_body_that_drips_is_refused_in_time() -> None:
    counter = Counter()
    async with running(limited(counter, arrival_s=0.3)) as it:
        answer = await answer_while_dripping(
            it.port, b"POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert error_of(answer)["code"] == "request_timeout"
    assert counter.called == 0


async def test_bodies_together_may_hold_so_much_memory_and_no_more() -> None:
    counter = Counter()
    async with running(limited(counter, all_bytes=50_000)) as it:
        _, slow = await it.connect()
        slow.write(
            b"POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n" + b"x" * 49_000
        )
        async with it.client() as client:

            async def refused() -> bool:
                response = await client.post("/count", content=b"x" * 2_000)
                return response.status_code == 503

            await until(refused)
            assert (await client.post("/count", content=b"x" * 900)).json() == {"bytes": 900}
            assert (await client.get("/healthz")).status_code == 200
            slow.close()

            async def accepted() -> bool:
                return not await refused()

            await until(accepted)


async def test_a_caller_that_hangs_up_while_sending_leaves_nothing_behind() -> None:
    counter = Counter()
    with capture_logs() as logged:
        async with running(limited(counter)) as it:
            _, writer = await it.connect()
            writer.write(b"POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx")
            writer.close()

            async def noted() -> bool:
                return any(entry["event"] == "http.answered" for entry in logged)

            await until(noted)
    (entry,) = [entry for entry in logged if entry["event"] == "http.answered"]
    assert (entry["status"], counter.called) == (499, 0)


async def test_a_body_that_is_no_chunk_is_refused_and_nobody_is_alarmed() -> None:
    counter = Counter()
    with capture_logs() as logged:
        async with running(limited(counter)) as it:
            answer = await it.say(
                b"POST /count HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nsecret\r\n"
            )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert error_of(answer)["code"] == "request_invalid"
    assert counter.called == 0
    assert not [entry for entry in logged if entry["log_level"] in {"warning", "error"}]


@pytest.mark.parametrize(
    "sent",
    [
        b"secret\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nsecret\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 40_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_request_is_refused_in_our_shape(sent: bytes) -> None:
    async with running(service()) as it:
        answer = await it.say(sent)
    head, _, _ = answer.partition(b"\r\n\r\n")
    error = error_of(answer)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["code"] == "request_invalid"
    assert f"x-request-id: {error['request_id']}".encode() in head
    assert b"x-content-type-options: nosniff" in head
    assert b"secret" not in answer


async def test_a_head_of_thirty_kilobytes_is_a_request_even_if_it_comes_in_pieces() -> None:
    async with running(service()) as it:
        reader, writer = await it.connect()
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\ntoken: " + b"x" * 25_000)

        async def arrived() -> bool:
            held = [connection.conn.trailing_data[0] for connection in connections(it.server)]
            return sum(map(len, held)) > 25_000

        await until(arrived)
        writer.write(b"x" * 5_000 + b"\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


def connections(server: Any) -> list[Any]:
    """Return the connections that the server knows."""
    return list(server.server_state.connections)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nho"])
async def test_who_never_comes_to_the_point_is_dropped(kept: bool, said: bytes) -> None:
    async with running(service(), ServerLimits(head_s=1, keep_alive_s=1)) as it:
        reader, writer = await it.connect()
        if kept:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"}")
        writer.write(said)
        async with asyncio.timeout(10):
            assert await read_or_reset(reader) == b""
        writer.close()


async def read_or_reset(reader: asyncio.StreamReader) -> bytes:
    """Return what comes; nothing where the connection has ended in one way or the other."""
    try:
        return await reader.read(1000)
    except ConnectionResetError:
        return b""


async def test_a_connection_that_is_kept_for_more_requests_is_not_dropped_early() -> None:
    async with running(service(), ServerLimits(head_s=1)) as it, it.client() as client:
        await client.get("/healthz")
        (connection,) = it.server.server_state.connections
        for counter in range(0, 100, 10):
            await it.server.on_tick(counter)
            await asyncio.sleep(0.15)
        await client.get("/healthz")
        assert list(it.server.server_state.connections) == [connection]


async def test_requests_over_the_limit_are_refused_at_once_but_probes_are_not() -> None:
    gate, routes = Gate(), APIRouter()

    @routes.get("/slow")
    async def slow() -> None:
        await gate.pass_through()

    app = service(routes, limits=ServiceLimits(requests=1))
    async with asking(app) as client:
        first = asyncio.create_task(client.get("/slow"))
        await gate.reached.wait()
        refused = await client.get("/slow", headers={"origin": ORIGIN})
        assert (await client.get("/readyz")).status_code == 200
        gate.opened.set()
        assert (await first).status_code == 200
        assert (await client.get("/slow")).status_code == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "overloaded"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["access-control-allow-origin"] == ORIGIN


async def test_rubbish_behind_a_refusal_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(limited(Counter(), one_bytes=10)) as it:
        reader, writer = await it.connect()
        head = b"POST /count HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"b\r\n" + b"x" * 11 + b"\r\n")
        answer = await reader.readuntil(b"}}")
        writer.write(b"secret\r\n")
        assert await read_or_reset(reader) == b""
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert [record.name for record in caplog.records] == ["uvicorn.error"]
    assert caplog.records[0].levelname == "WARNING"


async def test_two_requests_in_one_go_have_nothing_in_common() -> None:
    routes = APIRouter()

    @routes.get("/ada")
    async def ada() -> dict[str, str]:
        bind_contextvars(user="ada")
        return {"is": "first"}

    with capture_logs([merge_contextvars]) as logged:
        async with running(service(routes)) as it:
            answer = await it.say(
                b"GET /ada HTTP/1.1\r\nhost: x\r\nx-request-id: id-of-first\r\n\r\n"
                b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            )
    first, _, second = answer.partition(b'{"is":"first"}')
    assert b"x-request-id: id-of-first" in first
    assert b"id-of-first" not in second
    assert b"404 Not Found" in second
    answered = [entry for entry in logged if entry["event"] == "http.answered"]
    assert [entry.get("user") for entry in answered] == ["ada", None]


async def test_no_answer_names_the_server_and_each_has_a_date() -> None:
    async with running(service()) as it, it.client() as client:
        await until(lambda: has_ticked(it.server))
        response = await client.get("/healthz")
    assert "server" not in response.headers
    assert "date" in response.headers


async def has_ticked(server: Any) -> bool:
    """Return whether the server's clock runs."""
    return bool(server.server_state.default_headers)
