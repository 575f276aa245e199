"""Health: whether the process lives, and whether a message would be answered."""

import httpx
import pytest

from backend.api.application import create_app
from backend.api.health import Readiness
from backend.errors import AssistantsError, ModelRateLimited, NotPermitted


async def get(path: str, found: Readiness | AssistantsError) -> httpx.Response:
    async def probe() -> Readiness:
        if isinstance(found, AssistantsError):
            raise found
        return found

    transport = httpx.ASGITransport(create_app(probe), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


async def test_a_process_that_answers_is_alive_whatever_else_is_broken() -> None:
    response = await get("/healthz", Readiness(database=False, schema=False, worker=False))
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_a_service_with_everything_in_place_is_ready() -> None:
    response = await get("/readyz", Readiness(database=True, schema=True, worker=True))
    assert response.status_code == 200
    assert response.json()["status"] == "ready"


@pytest.mark.parametrize("missing", ["database", "schema", "worker"])
async def test_a_service_that_lacks_something_is_not_ready_and_says_what(missing: str) -> None:
    parts = {"database": True, "schema": True, "worker": True, missing: False}
    response = await get("/readyz", Readiness(**parts))
    assert response.status_code == 503
    assert response.json() == {"status": "not_ready", **parts}


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotPermitted("Not yours."), 403), (ModelRateLimited("Slowly."), 429)],
)
async def test_an_error_of_ours_becomes_its_status_and_code(
    error: AssistantsError, status: int
) -> None:
    response = await get("/readyz", error)
    assert response.status_code == status
    assert response.json() == {"error": {"code": error.code, "message": str(error)}}
