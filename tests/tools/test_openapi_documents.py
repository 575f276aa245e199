"""Documents of APIs: hostile ones, fetched ones, and ones with anything in any place."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import SettingsInvalid, ToolUnavailable
from backend.integrations.openapi.document import Document, DocumentInvalid
from backend.integrations.openapi.operations import Api
from backend.integrations.openapi.source import ApiTools, read_tools
from backend.integrations.web.client import GuardedHttp
from backend.ports.http import HttpAnswer, HttpRequest
from backend.ports.tools import ServerTool
from backend.tools.foreign import foreign_tools
from backend.tools.toolbox import OfferedServer, OfferedTools
from tests.support.manual_clock import ManualClock
from tests.tools.calling import call
from tests.tools.pets import PETS, of_operation, pets
from tests.tools.pets_api import api, http, tools
from tests.tools.test_toolbox import assistant
from tests.tools.web_server import WebServer

__all__ = ["http"]


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def body(schema: Any, media: str = "application/json") -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media: {"schema": schema}}}}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


DOUBLING = {f"S{it}": {"allOf": [ref(f"S{it + 1}")] * 2} for it in range(200)}
UNUSABLE = {
    "a server of its own": of_operation({"servers": [{"url": "https://evil.test"}]}),
    "a file to upload": of_operation(body({}, "multipart/form-data")),
    "another document": of_operation(body({"$ref": "http://169.254.169.254/"})),
    "a file of this machine": of_operation(body({"$ref": "file:///etc/passwd"})),
    "nothing there": of_operation(body(ref("Nobody"))),
    "a loop of parameters": of_operation(
        {"parameters": [{"$ref": "#/components/parameters/loop"}]},
        components={"parameters": {"loop": {"$ref": "#/components/parameters/loop"}}},
    ),
    "depth": of_operation(body(deep(40))),
    "doubling": of_operation(body(ref("S0")), components={"schemas": DOUBLING}),
    "width": of_operation(body({"enum": ["x" * 100] * 400})),
    "many parts": of_operation(body({"anyOf": [{}] * 9000})),
    "a cookie": of_operation({"parameters": [{"in": "cookie", "name": "c", "required": True}]}),
    "a path without its value": of_operation({}, "/x/{id}"),
    "a value without its path": of_operation({"parameters": [{"in": "path", "name": "id"}]}),
    "a path with a query": of_operation({}, "/x?admin=1"),
    "a path that is an address": of_operation({}, "@evil.test/"),
    "no parameter": of_operation({"parameters": [7]}),
    "a schema that is none": of_operation(body(5) | {"parameters": [{"$ref": 5}]}),
    "two of one name": of_operation(
        {"parameters": [{"in": "query", "name": it} for it in ("a.b", "a_b", "a[b]")]}
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_an_operation_that_is_hostile_or_not_understood_is_left_out(
    server: WebServer, http: GuardedHttp, tmp_path: Path, kind: str
) -> None:
    assert await tools(http, server, tmp_path, UNUSABLE[kind]) == {}


@pytest.mark.parametrize("schema", [{"type": "file"}, {"pattern": "(?=a)"}, {"required": 5}])
async def test_a_schema_that_nothing_can_be_checked_against_is_left_out_by_the_toolbox(
    server: WebServer, http: GuardedHttp, tmp_path: Path, schema: Any
) -> None:
    (tmp_path / "pets.json").write_bytes(of_operation(body(schema)))
    source = ApiTools(api(http, server), tmp_path / "pets.json", ManualClock())
    assert set(await source.tools()) == {"it"}
    box = OfferedTools([], apis={"pets": OfferedServer(source)})
    assert await box.tools_of(assistant("pets_it")) == {}


async def test_no_document_makes_more_tools_than_three_hundred(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    paths: Any = {f"/p{it}": {"get": {}} for it in range(1000)}
    document = json.dumps(pets(paths=paths)).encode()
    assert len(await tools(http, server, tmp_path, document)) == 300


@pytest.mark.parametrize(
    "document",
    [b"", b"openapi: 3.0.0", b"[]", b'{"swagger": "2.0"}', b"[" * 100_000, b"{" + b" " * 5_000_000],
)
async def test_a_file_that_is_no_such_document_is_named_at_the_start(
    server: WebServer, http: GuardedHttp, tmp_path: Path, document: bytes
) -> None:
    with pytest.raises(SettingsInvalid, match="document of pets"):
        await tools(http, server, tmp_path, document or b" ")


@pytest.mark.parametrize("paths", [[], 5, {"/a": 5}, {"/a": {"get": 5}}, {"/a": {"get": None}}])
def test_what_should_be_an_object_and_is_none_is_nothing(paths: Any) -> None:
    assert list(Document(json.dumps(pets(paths=paths)).encode()).operations()) == []


def test_the_server_of_a_document_is_its_first_with_the_defaults_of_its_variables() -> None:
    assert Document(json.dumps(PETS).encode()).server() == "https://eu.pets.test/v2"
    with pytest.raises(DocumentInvalid):
        Document(b"{}")


async def test_a_document_at_an_address_is_fetched_once_and_may_not_lead_elsewhere(
    server: WebServer, http: GuardedHttp
) -> None:
    server.will("/openapi.json", pets(servers=[{"url": "/v3"}]))
    address = f"{server.url}/openapi.json"
    source = ApiTools(api(http, server, base_url=None), address, ManualClock())
    found = await source.tools()
    assert await source.tools() is found
    assert len(server.asked) == 1
    server.will("/v3/pets/1", {"name": "Rex"})
    assert (await call(found["getPet"], petId="1")).output == {"name": "Rex"}

    server.will("/openapi.json", pets(servers=[{"url": "https://evil.test/v3"}]))
    with pytest.raises(ToolUnavailable):
        await ApiTools(api(http, server, base_url=None), address, ManualClock()).tools()


async def test_a_document_that_cannot_be_fetched_is_asked_for_again_after_a_while(
    server: WebServer, http: GuardedHttp
) -> None:
    clock = ManualClock()
    source = ApiTools(api(http, server), f"{server.url}/openapi.json", clock)
    for _ in range(3):
        with pytest.raises(ToolUnavailable):
            await source.tools()
    assert len(server.asked) == 1
    server.will("/openapi.json", PETS)
    await clock.advance(11)
    assert "getPet" in await source.tools()


async def test_the_log_says_once_why_a_document_cannot_be_fetched(
    server: WebServer, http: GuardedHttp
) -> None:
    clock = ManualClock()
    source = ApiTools(api(http, server), f"{server.url}/openapi.json", clock)
    answers: list[tuple[Any, str]] = [
        ({}, "404 No"),
        ({}, "404 No"),
        ({}, "200 OK"),
        (PETS, "200 OK"),
    ]
    told = []
    for answer, status in answers:
        server.will("/openapi.json", answer, status)
        with structlog.testing.capture_logs() as lines, suppress(ToolUnavailable):
            await source.tools()
        told.append([line["why"] for line in lines])
        await clock.advance(11)
    assert [len(it) for it in told] == [1, 0, 1, 0]
    assert told[0] == ["It answers with status 404."]


KEYS = st.sampled_from(
    ["$ref", "type", "in", "name", "schema", "properties", "items", "allOf", "get", "required", "a"]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({"$ref": "#/paths"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    held = list(value.items()) if isinstance(value, dict) else []
    held += list(enumerate(value)) if isinstance(value, list) else []
    for key, item in held:
        yield from places(item, (*path, key))


PLACES = [path for path in places(PETS) if path and path != ("openapi",)]


@given(st.lists(st.tuples(st.sampled_from(PLACES), ANY_JSON), min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_a_document_with_anything_in_any_place_makes_tools_or_fewer(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    document: Any = pets()
    for path, value in changes:
        held = document
        for key in path[:-1]:
            held = held[key] if _holds(held, key) else {}
        if _holds(held, path[-1]):
            held[path[-1]] = value
    with suppress(DocumentInvalid):
        made = tools_in(Api("pets", NoHttp(), base_url="https://pets.test"), document)
        assert set(made) <= {"getPet", "deletePet", "pets_add", "put_pets"} or len(made) <= 300
        foreign_tools("pets", made)


def _holds(held: Any, key: Any) -> bool:
    if isinstance(held, dict):
        return key in held
    return isinstance(held, list) and isinstance(key, int) and key < len(held)


class NoHttp:
    async def send(self, request: HttpRequest) -> HttpAnswer:
        raise ToolUnavailable(request.url)

    async def check(self, url: str) -> None:
        raise ToolUnavailable(url)


def tools_in(api: Api, document: Any) -> Mapping[str, ServerTool]:
    """Return the operations of the document."""
    return read_tools(api, Document(json.dumps(document).encode()), "")
