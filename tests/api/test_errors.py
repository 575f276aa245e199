"""Errors: one shape for all of them, and nothing in it that somebody else should not read."""

import json
from typing import Any, Literal

import httpx
import pytest
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect
from structlog.testing import capture_logs

from backend.errors import (
    Conflict,
    DatabaseRejected,
    DatabaseUnavailable,
    InternalFailure,
    ModelRateLimited,
    NotPermitted,
    SignatureInvalid,
    TooManyRequests,
    Unauthenticated,
)
from tests.api.scene import ORIGIN, asking, raising, running, service

SECRET = "the dragon sleeps in Zanzibar"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["text"]
    size: int


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=5)
    parts: list[Part] = []
    labels: dict[str, int] = {}


routes = APIRouter()


@routes.post("/orders/{number}")
async def order(number: int, order: Order, wanted: int = 1) -> dict[str, Any]:
    return {"number": number, "name": order.name, "wanted": wanted}


async def refused(error: Exception) -> httpx.Response:
    """Return how a route's error is answered to a browser."""
    async with asking(service(raising(error))) as client:
        return await client.get("/broken", headers={"origin": ORIGIN, "x-request-id": "r1"})


async def ordered(body: Any, path: str = "/orders/1", **options: Any) -> httpx.Response:
    """Return the answer to an order."""
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {"content-type": "application/json", "x-request-id": "r1"}
    async with asking(service(routes)) as client:
        return await client.post(path, content=content, headers=headers, **options)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotPermitted("Not yours."), 403, "not_permitted"),
        (Conflict("Busy."), 409, "conflict"),
        (ModelRateLimited("Slowly."), 429, "model_rate_limited"),
        (DatabaseUnavailable("Gone."), 503, "database_unavailable"),
    ],
)
async def test_an_error_of_ours_becomes_its_status_code_and_message(
    error: Exception, status: int, code: str
) -> None:
    response = await refused(error)
    assert response.status_code == status
    assert response.json() == {"error": {"code": code, "message": str(error), "request_id": "r1"}}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "error",
    [InternalFailure(SECRET), DatabaseRejected(SECRET, sqlstate="XX000"), ValueError(SECRET)],
)
async def test_a_defect_of_ours_is_answered_without_its_text(error: Exception) -> None:
    response = await refused(error)
    assert response.status_code == 500
    assert SECRET not in response.text
    assert response.json()["error"]["request_id"] == "r1"
    assert response.headers["x-request-id"] == "r1"


async def test_a_browser_can_read_the_answer_to_a_defect() -> None:
    response = await refused(ValueError(SECRET))
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_defect_is_logged_by_its_class_and_place_alone() -> None:
    with capture_logs() as logged:
        await refused(ValueError(SECRET))
    (broke,) = [entry for entry in logged if entry["event"] == "request.broke"]
    assert (broke["error"], broke["log_level"]) == ("ValueError", "error")
    assert broke["place"].startswith("tests.api.scene:")
    assert SECRET not in str(logged)


@pytest.mark.parametrize(
    ("error", "level", "extra"),
    [
        (Unauthenticated("expired"), "info", {"why": "expired"}),
        (Conflict("Busy."), "info", {}),
        (DatabaseUnavailable("Gone."), "warning", {}),
        (DatabaseRejected("Hm.", sqlstate="XX000"), "error", {"sqlstate": "XX000"}),
    ],
)
async def test_a_refusal_is_logged_as_loudly_as_it_concerns_the_operator(
    error: Any, level: str, extra: dict[str, str]
) -> None:
    with capture_logs() as logged:
        await refused(error)
    (entry,) = [entry for entry in logged if entry["event"] == "request.refused"]
    assert entry == {
        "event": "request.refused",
        "log_level": level,
        "code": error.code,
        "status": error.http_status,
        **extra,
    }


async def test_why_a_token_does_not_hold_is_no_business_of_the_caller() -> None:
    response = await refused(Unauthenticated("signature_wrong"))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "signature" not in response.text


async def test_a_webhook_is_not_asked_for_a_token() -> None:
    response = await refused(SignatureInvalid("No signature holds."))
    assert response.status_code == 401
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "1"), (0.2, "1"), (7.0, "7"), (7.1, "8")])
async def test_who_is_too_fast_is_told_when_to_come_back(seconds: float, said: str) -> None:
    response = await refused(TooManyRequests("Slowly.", retry_after_s=seconds))
    assert (response.status_code, response.headers["retry-after"]) == (429, said)


async def test_nobody_is_told_when_to_come_back_where_nobody_knows() -> None:
    response = await refused(ModelRateLimited("Slowly."))
    assert "retry-after" not in response.headers


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "body.name is missing."),
        ({"name": SECRET}, "body.name is not valid (string_too_long)."),
        ({"name": "x", SECRET: 1}, "body has a field that is not known."),
        ({"name": "x", "labels": {SECRET: "y"}}, "body.labels.? is not valid (int_parsing)."),
        (
            {"name": "x", "parts": [{"kind": SECRET, "size": "s"}]},
            "body.parts.0.kind is not valid (literal_error); body.parts.0.size is not valid (int_parsing).",
        ),
        (f'{{"name": "{SECRET}"', "body is not JSON."),
        ('"' + SECRET, "body is not JSON."),
        ("[" * 100_000, "The request cannot be read."),
        (b'{"name": "\xff\xfe"}', "The request cannot be read."),
        ("", "body is missing."),
    ],
)
async def test_a_wrong_request_is_told_which_field_and_none_of_its_own_words(
    body: Any, said: str
) -> None:
    response = await ordered(body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error == {"code": "request_invalid", "message": said, "request_id": "r1"}


async def test_wrong_paths_and_queries_are_named_as_well() -> None:
    response = await ordered({"name": "x"}, "/orders/dragon", params={"wanted": "much"})
    assert response.json()["error"]["message"] == (
        "path.number is not valid (int_parsing); query.wanted is not valid (int_parsing)."
    )


async def test_of_many_mistakes_the_first_five_are_named() -> None:
    response = await ordered({"name": "x", "labels": {f"l{n}": "no" for n in range(9)}})
    assert response.json()["error"]["message"].endswith(
        "l4 is not valid (int_parsing); and 4 more."
    )


async def test_a_body_that_says_it_is_text_is_refused() -> None:
    async with asking(service(routes)) as client:
        response = await client.post(
            "/orders/1", content='{"name": "x"}', headers={"content-type": "text/plain"}
        )
    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/nothing", "/healthz/", "/docs", "/openapi.json", "/redoc"])
async def test_where_nothing_is_the_answer_has_our_shape_too(path: str) -> None:
    async with asking(service()) as client:
        response = await client.get(path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert path not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_a_method_that_is_not_there_is_refused_with_one_that_is(method: str) -> None:
    async with asking(service()) as client:
        response = await client.request(method, "/healthz")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"
    assert response.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (418, "http_418"), (500, "internal_error")]
)
async def test_what_a_library_refuses_has_our_shape_and_not_its_words(
    status: int, code: str
) -> None:
    response = await refused(HTTPException(status, SECRET, {"allow": "GET"}))
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.headers["allow"] == "GET"
    assert SECRET not in response.text


async def test_a_caller_that_hung_up_is_nobodys_fault() -> None:
    with capture_logs() as logged:
        async with asking(service(raising(ClientDisconnect()))) as client:
            with pytest.raises(AssertionError):
                # The client in memory insists on an answer; nobody is there to get one.
                await client.get("/broken")
    assert [entry["event"] for entry in logged] == ["http.answered"]
    assert logged[0]["status"] == 499


class Half(Response):
    """An answer that breaks in the middle."""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError(SECRET)


async def test_an_answer_that_breaks_in_the_middle_is_seen_to_be_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    half = APIRouter()

    @half.get("/half")
    async def answer() -> Response:
        return Half()

    with capture_logs() as logged:
        async with running(service(half)) as it, it.client() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/half")
    assert [entry["event"] for entry in logged].count("request.broke") == 1
    # Uvicorn tells it a second time, through the handler that keeps class and place only.
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is ValueError
