"""Answers that go on: nothing that stands around a request holds them up, or holds on to them."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from backend.api.application import ServiceLimits
from tests.api.scene import Gate, running, service


async def test_streams_do_not_take_the_places_of_requests() -> None:
    gate, holding, routes = Gate(), Gate(), APIRouter()

    @routes.get("/held")
    async def held_route() -> None:
        await holding.pass_through()

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            yield ": one\n\n"
            await gate.pass_through()

        return StreamingResponse(events(), media_type="text/event-stream")

    @routes.get("/other")
    async def other() -> None:
        return None

    app = service(routes, limits=ServiceLimits(requests=1))
    async with running(app) as it, it.client() as client:
        async with (
            client.stream("GET", "/stream") as first,
            client.stream("GET", "/stream") as second,
        ):
            assert [first.status_code, second.status_code] == [200, 200]
            assert (await client.get("/other")).status_code == 200
            gate.opened.set()
            for response in (first, second):
                await response.aread()
        assert (await client.get("/other")).status_code == 200
        # Two streams have given back one place each, and not one more.
        held = asyncio.create_task(client.get("/held"))
        await holding.reached.wait()
        assert (await client.get("/other")).status_code == 503
        holding.opened.set()
        assert (await held).status_code == 200


async def test_a_request_with_a_body_may_be_answered_by_a_stream_too() -> None:
    routes = APIRouter()

    @routes.post("/stream")
    async def stream(body: dict[str, int]) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            for number in range(body["wanted"]):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")

    async with running(service(routes)) as it, it.client() as client:
        response = await client.post("/stream", json={"wanted": 20})
    assert response.text.count("data: ") == 20


async def test_what_a_stream_says_is_passed_on_at_once_and_with_its_own_headers() -> None:
    gate, routes = Gate(), APIRouter()

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            yield "data: first\n\n"
            await gate.pass_through()
            yield "data: second\n\n"

        return StreamingResponse(
            events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async with (
        running(service(routes)) as it,
        it.client() as client,
        client.stream("GET", "/stream") as response,
    ):
        said = response.aiter_text()
        assert await anext(said) == "data: first\n\n"
        gate.opened.set()
        assert await anext(said) == "data: second\n\n"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers
    assert response.headers["x-request-id"]


async def test_a_stream_learns_that_its_reader_has_gone() -> None:
    gone, routes = asyncio.Event(), APIRouter()

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            try:
                yield "data: first\n\n"
                await asyncio.Event().wait()
            finally:
                gone.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    async with running(service(routes)) as it, it.client() as client:
        async with client.stream("GET", "/stream") as response:
            await anext(response.aiter_text())
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_reader_that_takes_nothing_is_dropped_by_the_kernel() -> None:
    ended, routes = asyncio.Event(), APIRouter()

    @routes.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65_536
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    async with running(service(routes), stalled_s=0.5) as it:
        reader, writer = await it.connect()
        writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(ended.wait(), 20)
        writer.transport.abort()
