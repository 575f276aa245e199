"""Operations of an API as tools: what the model is told, and what is sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import ToolRefused
from backend.integrations.openapi.parameters import Parameter, headers_of, path_of, query_of
from backend.integrations.openapi.source import ApiTools
from backend.integrations.web.client import GuardedHttp
from backend.tools.toolbox import OfferedServer, OfferedTools
from tests.support.manual_clock import ManualClock
from tests.tools.calling import call
from tests.tools.pets import PETS
from tests.tools.pets_api import api, http, tools
from tests.tools.test_toolbox import assistant
from tests.tools.web_server import WebServer

__all__ = ["http"]


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


async def test_rows_name_operations_by_the_name_of_their_api(
    server: WebServer, http: GuardedHttp, tmp_path: Path
) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(PETS), "utf-8")
    source = ApiTools(api(http, server), tmp_path / "pets.json", ManualClock())
    box = OfferedTools([], apis={"pets": OfferedServer(source)})
    wanted = ("pets_getPet", "pets_pets_add", "pets_nothing", "getPet", "showPet")
    assert set(await box.tools_of(assistant(*wanted))) == {"pets_getPet", "pets_pets_add"}
    assert await box.tools_of(assistant(*wanted, is_users=True)) == {}
