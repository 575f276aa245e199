"""`GET /v1/models`: what users may name, for whoever is signed in, as OpenAI's own client reads it."""

from collections.abc import AsyncIterator, Sequence

import httpx
import httpx2
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from backend.api.models import model_routes
from tests.api.scene import asking, running, service
from tests.support.verifying import Door, door

NAMED = ["offline:demo", "openai:gpt-5.4", "vllm:meta/llama-3.2"]


async def named() -> Sequence[str]:
    return [*NAMED, "mistral:*", "anthropic:claude-opus-*"]


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Door]:
    async with door() as made:
        yield made


@pytest_asyncio.fixture
async def client(opened: Door) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service(model_routes(named, opened.verifier))) as made:
        made.headers["authorization"] = f"Bearer {opened.tokens.token()}"
        yield made


async def test_all_that_users_may_name_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/models")

    assert answer.status_code == 200
    listed = answer.json()
    assert listed["object"] == "list"
    assert listed["data"][1] == {
        "id": "openai:gpt-5.4",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
    }
    assert [it["id"] for it in listed["data"]] == NAMED


@pytest.mark.parametrize("model", [*NAMED, "mistral:small", "anthropic:claude-opus-5"])
async def test_one_is_found_by_its_id_slashes_and_all(
    client: httpx.AsyncClient, model: str
) -> None:
    answer = await client.get(f"/v1/models/{model}")

    assert (answer.status_code, answer.json()["id"]) == (200, model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-5.4",
        "openai:gpt-6",
        "offline",
        "vllm:meta",
        "%F0%9F%8F%94",
        "mistral:",
        "mistral:a%20b",
        "anthropic:claude-haiku-5",
    ],
)
async def test_what_users_may_not_name_is_not_there(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.get(f"/v1/models/{model}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/offline:demo"])
async def test_nobody_is_told_without_a_token(client: httpx.AsyncClient, path: str) -> None:
    del client.headers["authorization"]
    assert (await client.get(path)).status_code == 401

    client.headers["authorization"] = "Bearer sk-proj-something"
    assert (await client.get(path)).status_code == 401


async def test_openais_own_client_reads_them(opened: Door) -> None:
    token = opened.tokens.token()
    async with running(service(model_routes(named, opened.verifier))) as served:
        http = httpx2.AsyncClient(trust_env=False)
        async with AsyncOpenAI(api_key=token, base_url=f"{served.url}/v1", http_client=http) as api:
            assert [model.id async for model in api.models.list()] == NAMED
            assert (await api.models.retrieve("openai:gpt-5.4")).owned_by == "openai"
