"""What stands around every answer: its id, its headers, CORS and the line in the log."""

import asyncio
import re
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, Response
from structlog.testing import capture_logs

from backend.api.request_ids import current_request_id
from backend.errors import Unauthenticated
from tests.api.scene import ORIGIN, Gate, asking, raising, service
from tests.support.manual_clock import ManualClock

_log = structlog.get_logger()
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,last-event-id,x-request-id",
}


async def answer(path: str = "/healthz", method: str = "GET", **headers: str) -> httpx.Response:
    """Return an answer of a service with a few routes."""
    async with asking(service(raising(ValueError()), raising(Unauthenticated("no"), "/me"))) as it:
        return await it.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/broken", "/me"])
async def test_every_answer_has_an_id(path: str) -> None:
    first, second = await answer(path), await answer(path)
    assert UUID.fullmatch(first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    if first.status_code >= 400:
        assert first.json()["error"]["request_id"] == first.headers["x-request-id"]


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
async def test_a_plain_id_of_the_caller_is_taken(given: str) -> None:
    assert (await answer(x_request_id=given)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "ü", 'a"b', "a\tb"])
async def test_any_other_id_of_the_caller_is_replaced(given: str) -> None:
    async with asking(service()) as client:
        response = await client.get("/healthz", headers={b"x-request-id": given.encode()})
    assert UUID.fullmatch(response.headers["x-request-id"])


async def test_requests_that_overlap_keep_their_own_ids() -> None:
    gate, routes = Gate(), APIRouter()

    @routes.get("/slow/{number}")
    async def slow(number: int) -> dict[str, Any]:
        if number == 0:
            await gate.pass_through()
        return {"number": number, "id": current_request_id()}

    async with asking(service(routes)) as client:
        first = asyncio.create_task(client.get("/slow/0", headers={"x-request-id": "first"}))
        await gate.reached.wait()
        second = await client.get("/slow/1", headers={"x-request-id": "second"})
        gate.opened.set()
    assert second.json()["id"] == "second"
    assert (await first).json()["id"] == "first"
    assert current_request_id() == ""


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/broken"])
async def test_every_answer_tells_browsers_what_not_to_do(path: str) -> None:
    headers = (await answer(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in headers


async def test_a_route_may_say_otherwise_about_caching() -> None:
    routes = APIRouter()

    @routes.get("/map")
    async def tiles() -> Response:
        return Response(b"", headers={"Cache-Control": "max-age=60"})

    async with asking(service(routes)) as client:
        response = await client.get("/map")
    assert response.headers.get_list("cache-control") == ["max-age=60"]


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/nothing", 404), ("/broken", 500), ("/me", 401)]
)
async def test_a_frontend_on_the_list_may_read_every_answer(path: str, status: int) -> None:
    response = await answer(path, origin=ORIGIN)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["vary"] == "Origin"
    assert response.headers["access-control-expose-headers"] == "x-request-id, retry-after"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://chat.example", ORIGIN + ".evil.example"]
)
@pytest.mark.parametrize("path", ["/healthz", "/broken"])
async def test_any_other_frontend_may_read_none(path: str, origin: str) -> None:
    response = await answer(path, origin=origin)
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["vary"] == "Origin"


async def test_without_a_list_no_frontend_is_let_in() -> None:
    async with asking(service(allowed_origins=())) as client:
        response = await client.get("/healthz", headers={"origin": ORIGIN})
        asked = await client.options("/healthz", headers=PREFLIGHT)
    assert "access-control-allow-origin" not in response.headers
    assert asked.status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/me"])
async def test_a_preflight_is_answered_before_any_route_is_looked_for(path: str) -> None:
    async with asking(service()) as client:
        response = await client.options(path, headers=PREFLIGHT)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "last-event-id", "x-request-id"} <= set(allowed)
    assert UUID.fullmatch(response.headers["x-request-id"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.example"},
        {"access-control-request-method": "PUT"},
        {"access-control-request-headers": "x-secret"},
    ],
)
async def test_a_preflight_that_asks_too_much_is_refused_in_our_shape(
    wrong: dict[str, str],
) -> None:
    async with asking(service()) as client:
        response = await client.options("/healthz", headers=PREFLIGHT | wrong)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "request_invalid"
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]
    assert ("access-control-allow-origin" in response.headers) == ("origin" not in wrong)
    assert "Origin" in response.headers["vary"]


async def logged_of(method: str, path: str) -> dict[str, Any]:
    """Return the one line about an answer."""
    clock, routes = ManualClock(), APIRouter()

    @routes.get("/rooms/{name}")
    async def room(name: str) -> dict[str, str]:
        await clock.advance(0.25)
        return {"name": name}

    with capture_logs([structlog.contextvars.merge_contextvars]) as logged:
        async with asking(service(routes, raising(ValueError()), clock=clock)) as client:
            await client.request(method, path, headers={"x-request-id": "r1"})
    (line,) = [entry for entry in logged if entry["event"] == "http.answered"]
    assert line.pop("request_id") == "r1"
    return dict(line)


async def test_an_answer_is_logged_by_its_route_and_never_by_what_was_typed() -> None:
    assert await logged_of("GET", "/rooms/secret?token=secret") == {
        "event": "http.answered",
        "log_level": "info",
        "method": "GET",
        "route": "/rooms/{name}",
        "status": 200,
        "ms": 250.0,
    }


@pytest.mark.parametrize(
    ("method", "path", "method_said", "route", "status"),
    [
        ("GET", "/secret", "GET", None, 404),
        ("SECRET", "/rooms/1", "other", "/rooms/{name}", 405),
        ("GET", "/broken", "GET", "/broken", 500),
    ],
)
async def test_refused_and_broken_answers_are_logged_too(
    method: str, path: str, method_said: str, route: str | None, status: int
) -> None:
    line = await logged_of(method, path)
    assert (line["method"], line["route"], line["status"]) == (method_said, route, status)
    assert "secret" not in str(line).lower()


async def test_what_load_balancers_ask_all_day_is_hardly_worth_a_line() -> None:
    assert (await logged_of("GET", "/readyz"))["log_level"] == "debug"


async def test_lines_of_a_route_name_its_request() -> None:
    routes = APIRouter()

    @routes.get("/talks")
    async def talks() -> None:
        _log.info("talked")

    with capture_logs([structlog.contextvars.merge_contextvars]) as logged:
        async with asking(service(routes)) as client:
            await client.get("/talks", headers={"x-request-id": "r7"})
    assert {entry["request_id"] for entry in logged} == {"r7"}
    assert [entry["event"] for entry in logged] == ["talked", "http.answered"]
