"""Operations of an API as tools: what the model is told, and what is sent."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import SettingsInvalid, ToolRefused, ToolUnavailable
from backend.integrations.openapi.document import Document, DocumentInvalid
from backend.integrations.openapi.operations import Api
from backend.integrations.openapi.parameters import Parameter, headers_of, path_of, query_of
from backend.integrations.openapi.source import ApiTools, read_tools
from backend.integrations.web.client import GuardedHttp
from backend.integrations.web.reach import reach_of
from backend.ports.http import HttpAnswer, HttpRequest
from backend.ports.tools import ServerTool
from backend.tools.foreign import foreign_tools
from backend.tools.toolbox import OfferedServer, OfferedTools
from tests.support.manual_clock import ManualClock
from tests.tools.calling import call
from tests.tools.pets import PETS, of_operation, pets
from tests.tools.test_toolbox import assistant
from tests.tools.web_server import WebServer


@pytest_asyncio.fixture
async def http(server: WebServer) -> AsyncIterator[GuardedHttp]:
    """Yield a client that may ask the server of this test."""
    entry = f"127.0.0.1:{server.port}"
    async with GuardedHttp(reach_of([entry], [entry])) as made:
        yield made


def api(http: GuardedHttp, server: WebServer, **more: Any) -> Api:
    secrets = {"headers": lambda: {"X-Key": "k", "Authorization": "Bearer b"}}
    keys = {"query": lambda: {"api_key": "q"}}
    return Api("pets", http, **{"base_url": f"{server.url}/v2", **secrets, **keys, **more})


async def tools(
    http: GuardedHttp, server: WebServer, folder: Path, document: bytes = b"", **more: Any
) -> Mapping[str, ServerTool]:
    file = folder / "pets.json"
    file.write_bytes(document or json.dumps(PETS).encode())
    return await ApiTools(api(http, server, **more), file, ManualClock()).tools()


async def test_the_model_is_told_what_the_document_says(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    found = await tools(http, server, tmp_path)
    assert set(found) == {"getPet", "deletePet", "pets_add", "put_pets"}
    made = found["pets_add"].definition
    assert made.description == "Add a pet."
    assert made.parameters == {
        "type": "object",
        "properties": {"body": {"$ref": "#/$defs/Pet"}},
        "additionalProperties": False,
        "required": ["body"],
        "$defs": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "age": {"type": "integer", "exclusiveMinimum": 0},
                    "parent": {"$ref": "#/$defs/Pet"},
                },
            }
        },
    }


async def test_no_model_chooses_what_is_the_operators_to_say(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    made: Any = (await tools(http, server, tmp_path))["getPet"].definition.parameters
    names = {"petId", "fields", "tags", "filter_age", "where", "X-Trace"}
    assert set(made["properties"]) == names
    assert made["required"] == ["petId"]


async def test_arguments_go_where_the_document_says(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    server.will("/v2/pets/a%20b%3Fc", {"name": "Rex"})
    outcome = await call(
        (await tools(http, server, tmp_path))["getPet"],
        petId="a b?c",
        fields=["x", 1],
        tags=["u", "v&w"],
        filter_age={"min": 1, "api_key": "mine"},
        where={"api_key": "mine"},
        **{"X-Trace": "t"},  # type: ignore[arg-type]
    )
    assert outcome.output == {"name": "Rex"}
    (asked,) = server.asked
    assert asked.target.partition("?")[2] == (
        "fields=x&fields=1&tags=u%2Cv%26w&filter%5Bage%5D%5Bmin%5D=1"
        "&filter%5Bage%5D%5Bapi_key%5D=mine&where=%7B%22api_key%22%3A%22mine%22%7D&api_key=q"
    )
    assert asked.headers["x-trace"] == "t"
    assert asked.headers["x-key"] == "k"
    assert asked.headers["authorization"] == "Bearer b"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_body_is_sent_as_json_or_as_a_form(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    server.will("/v2/pets", {"id": 7})
    found = await tools(http, server, tmp_path)
    await call(found["pets_add"], body={"name": "Rex", "parent": {"name": None}})
    await call(found["put_pets"], body={"name": "R&x", "tags": [1, 2]})
    first, second = server.asked
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == {"name": "Rex", "parent": {"name": None}}
    assert second.body == b"name=R%26x&tags=1&tags=2"


async def test_what_does_not_fit_the_document_is_never_sent(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    outcome: Any = await call(
        (await tools(http, server, tmp_path))["pets_add"], body={"name": "R", "parent": {"age": 0}}
    )
    assert outcome.output["error"] == "invalid_arguments"
    assert "arguments.body.parent" in outcome.output["message"]
    assert server.asked == []


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "../admin", "a/b", "a\\b", "%2e%2e", "%2Fadmin", "%252e%252e", "a\nb", "\x00"],
)
async def test_no_value_leads_out_of_its_place_in_the_path(
    server: WebServer, http: GuardedHttp, tmp_path: Path, value: str
) -> None:
    outcome: Any = await call((await tools(http, server, tmp_path))["getPet"], petId=value)
    if value != "\x00":  # is replaced by a character that stands for none
        assert outcome.output["error"] == "tool_refused"
        assert server.asked == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(deadline=None, max_examples=300)
def test_a_value_is_one_segment_one_pair_or_one_header_or_nothing(value: str) -> None:
    parameter = Parameter("it", "it", "path")
    try:
        path = path_of("/a/{it}/b", {parameter: value})
    except ToolRefused:
        path = "/a/x/b"
    assert path.count("/") == 3
    assert not set(path) & set("?#\\ \r\n;@")
    (pair,) = query_of({Parameter("it", "it", "query"): value})
    assert pair == ("it", value)
    try:
        headers = headers_of({Parameter("it", "X-It", "header"): value})
    except ToolRefused:
        headers = {"x-it": ""}
    assert list(headers) == ["x-it"]
    assert headers["x-it"].isprintable()


async def test_what_the_api_says_no_to_is_told_to_the_model(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    found = await tools(http, server, tmp_path)
    server.will("/v2/pets/1", {"detail": "no such pet"}, "404 Not Found")
    outcome: Any = await call(found["getPet"], petId="1")
    assert outcome.output["error"] == "tool_refused"
    assert "404" in outcome.output["message"]
    assert "no such pet" in outcome.output["message"]


async def test_what_may_pass_is_tried_again_where_nothing_happens_twice(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    found = await tools(http, server, tmp_path, attempts=3)
    assert found["getPet"].traits.attempts == 3
    assert found["deletePet"].traits.is_repeatable
    assert found["pets_add"].traits.attempts == 1
    assert not found["pets_add"].traits.is_repeatable
    server.will("/v2/pets", {}, "503 Busy")
    assert (await call(found["pets_add"], body={"name": "R"})).is_error
    assert len(server.asked) == 1


async def test_an_api_that_knows_idempotency_keys_is_given_one(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    found = await tools(http, server, tmp_path, idempotency_header="Idempotency-Key")
    server.will("/v2/pets", {})
    await call(found["pets_add"], body={"name": "R"})
    assert server.asked[0].headers["idempotency-key"] == "run:r1:call_1"
    assert found["pets_add"].traits.is_repeatable


@pytest.mark.parametrize(
    ("answer", "content_type", "output"),
    [
        (b"", "", {"status": 200}),
        (b"words", "text/plain; charset=utf-8", "words"),
        (b'{"a": [1]}', "application/problem+json", {"a": [1]}),
        (b"\xff\x00", "text/html", "\ufffd\ufffd"),
    ],
)
async def test_an_answer_is_what_it_says_that_it_is(
    server: WebServer,
    http: GuardedHttp,
    tmp_path: Path,
    answer: bytes,
    content_type: str,
    output: Any,
) -> None:
    server.will("/v2/pets/1", answer, content_type=content_type)
    outcome = await call((await tools(http, server, tmp_path))["getPet"], petId="1")
    assert outcome.output == output


@pytest.mark.parametrize(
    ("answer", "content_type"),
    [
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"GIF89a", "image/gif"),
        (b"x" * 300_000, "text/plain"),
        (b"[" * 60 + b"]" * 60, "application/json"),
        (b"x" * 2_000_000, "text/plain"),
    ],
)
async def test_an_answer_that_is_hostile_is_an_error_and_short(
    server: WebServer, http: GuardedHttp, tmp_path: Path, answer: bytes, content_type: str
) -> None:
    server.will("/v2/pets/1", answer, content_type=content_type)
    outcome = await call((await tools(http, server, tmp_path))["getPet"], petId="1")
    assert outcome.is_error
    assert len(str(outcome.output)) < 200


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


async def test_rows_name_operations_by_the_name_of_their_api(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS), "utf-8")
    source = ApiTools(api(http, server), tmp_path / "pets.json", ManualClock())
    box = OfferedTools([], apis={"pets": OfferedServer(source)})
    wanted = ("pets_getPet", "pets_pets_add", "pets_nothing", "getPet", "showPet")
    assert set(await box.tools_of(assistant(*wanted))) == {"pets_getPet", "pets_pets_add"}
    assert await box.tools_of(assistant(*wanted, is_users=True)) == {}


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
