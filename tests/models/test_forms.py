"""What the answer is to look like and how it is sampled, in each provider's own words."""

import json
from typing import Any

import pytest

from backend.devkit.offline_model import OfflineModel
from backend.domain.assistants import FunctionTool
from backend.domain.options import Effort, JsonAnswer
from backend.errors import ModelRefused
from backend.ports.clock import SystemClock
from backend.ports.models import ModelRequest
from tests.models.accounts import Accounts
from tests.models.asking import COIN, ask, heard, heard_until_raised, text_of
from tests.models.canned import Canned
from tests.models.dialects import DIALECTS, whole
from tests.models.servers import Scripted, Unreliable

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 80}, "metres": {"type": "integer"}},
    "required": ["city", "metres"],
    "additionalProperties": False,
}
_STRICT = JsonAnswer("place", _SCHEMA, "Where it is", is_strict=True)
_LOOSE = JsonAnswer("place", _SCHEMA)
_MODELS = {
    "anthropic": "claude-haiku-4-5",
    "compatible": "llama3.2",
    "mistral": "mistral-small-latest",
    "openai": "gpt-5.4",
}
"""That take all there is."""


async def sent(canned: Canned, accounts: Accounts, name: str, **fields: Any) -> dict[str, Any]:
    """Return what the server was sent, without what is null."""
    request = ask("Where is it?", **{"model": _MODELS[name], **fields})
    canned.requests.clear()
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say('{"city": "Rome"}')))
    await heard(accounts.at(canned.url_of(name), name), request)
    (body,) = canned.requests
    return {field: value for field, value in body.items() if value is not None}


def form_in(name: str, body: dict[str, Any]) -> Any:
    match name:
        case "openai":
            return body["text"]["format"]
        case "anthropic":
            return body["output_config"]["format"]
        case _:
            return body["response_format"]


@pytest.mark.parametrize("answer", [_STRICT, _LOOSE])
async def test_a_schema_of_the_answer_is_passed_on_as_its_author_wrote_it(
    canned: Canned, accounts: Accounts, name: str, answer: JsonAnswer
) -> None:
    told = form_in(name, await sent(canned, accounts, name, answer=answer))
    named: dict[str, Any] = {"name": "place", "schema": _SCHEMA, "strict": answer.is_strict}
    if answer.description:
        named["description"] = answer.description
    expected = {
        # It guarantees every schema, and has a name for none.
        "anthropic": {"type": "json_schema", "schema": _SCHEMA},
        "openai": {"type": "json_schema", **named},
    }
    assert told == expected.get(name, {"type": "json_schema", "json_schema": named})


@pytest.mark.parametrize("name", ["compatible", "mistral", "openai"])
@pytest.mark.parametrize("instructions", ["", "Be brief."])
async def test_any_object_will_do_and_the_model_is_told_so(
    canned: Canned, accounts: Accounts, name: str, instructions: str
) -> None:
    body = await sent(canned, accounts, name, answer=JsonAnswer(), instructions=instructions)
    assert form_in(name, body) == {"type": "json_object"}
    told, question = body["input" if name == "openai" else "messages"]
    wanted = "Answer with one JSON object and nothing else."
    assert told["role"] == "system"
    assert told["content"] == "\n\n".join(filter(None, (instructions, wanted)))
    assert question["content"] == "Where is it?"


async def test_text_is_asked_for_without_a_word_about_it(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    body = await sent(canned, accounts, name)
    assert {"text", "output_config", "response_format"}.isdisjoint(body)


async def test_temperature_and_top_p_are_passed_on(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    body = await sent(canned, accounts, name, temperature=0.25, top_p=0.5)
    assert (body["temperature"], body["top_p"]) == (0.25, 0.5)
    body = await sent(canned, accounts, name, temperature=0)
    assert body["temperature"] == 0
    assert "top_p" not in body


@pytest.mark.parametrize(
    ("name", "model", "effort", "told"),
    [
        ("openai", "gpt-6-luna", "none", {"reasoning": {"effort": "none"}}),
        ("openai", "gpt-6-luna", "high", {"reasoning": {"effort": "high"}}),
        ("openai", "o3", "minimal", {"reasoning": {"effort": "low"}}),
        (
            "anthropic",
            "claude-opus-5",
            "low",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (
            "anthropic",
            "claude-haiku-4-5",
            "medium",
            {"thinking": {"type": "enabled", "budget_tokens": 10_000}},
        ),
        ("mistral", "mistral-small-latest", "none", {"reasoning_effort": "none"}),
        ("mistral", "mistral-small-latest", "medium", {"reasoning_effort": "high"}),
        ("compatible", "gpt-oss:20b", "minimal", {"reasoning_effort": "minimal"}),
        ("compatible", "llama3.2", "none", {"reasoning_effort": "none"}),
    ],
)
async def test_how_hard_to_think_is_told_in_the_nearest_word_that_the_model_has(
    canned: Canned, accounts: Accounts, name: str, model: str, effort: Effort, told: Any
) -> None:
    body = await sent(canned, accounts, name, model=model, reasoning_effort=effort)
    assert {field: body[field] for field in told} == told


@pytest.mark.parametrize("name", ["anthropic", "openai", "compatible"])
async def test_a_strict_tool_is_told_to_be_one(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    strict = FunctionTool("place", "Places.", _SCHEMA, is_strict=True)
    body = await sent(canned, accounts, name, tools=(strict, COIN))
    told = [it.get("function", it) for it in body["tools"]]
    assert [bool(it.get("strict")) for it in told] == [True, False]
    assert told[0].get("parameters", told[0].get("input_schema")) == _SCHEMA


_LACKING: list[tuple[str, str, dict[str, Any], str]] = [
    ("anthropic", "claude-haiku-4-5", {"answer": JsonAnswer()}, "has no json_object answers"),
    ("anthropic", "claude-3-haiku", {"answer": _LOOSE}, "has no json_schema answers"),
    ("anthropic", "claude-haiku-4-5", {"temperature": 1.5}, "takes a temperature of 1 at most"),
    ("anthropic", "claude-opus-5", {"top_p": 0.5}, "takes neither temperature nor top_p"),
    (
        "anthropic",
        "claude-haiku-4-5",
        {"temperature": 0.5, "reasoning_effort": "low"},
        "takes no temperature while it reasons",
    ),
    ("openai", "gpt-4o-mini", {"reasoning_effort": "low"}, "does not reason"),
    ("openai", "gpt-6-luna", {"temperature": 0.5}, "while it reasons"),
    ("openai", "gpt-5.4", {"top_p": 0.5, "reasoning_effort": "low"}, "while it reasons"),
    ("openai", "o3", {"top_p": 0.5, "reasoning_effort": "none"}, "while it reasons"),
    ("mistral", "codestral-latest", {"reasoning_effort": "high"}, "does not reason"),
]


@pytest.mark.parametrize(("name", "model", "wanted", "said"), _LACKING)
async def test_what_a_model_has_no_such_thing_as_is_refused_before_anybody_is_asked(
    canned: Canned, accounts: Accounts, name: str, model: str, wanted: dict[str, Any], said: str
) -> None:
    request = ask("Where is it?", model=model, **wanted)
    events, error = await heard_until_raised(accounts.at(canned.url_of(name), name), request)
    assert (events, type(error)) == ([], ModelRefused)
    assert str(error).startswith(f"{name}:{model} ")
    assert said in str(error)
    assert canned.requests == []


@pytest.mark.parametrize(
    ("name", "model", "wanted"),
    [
        ("openai", "gpt-6-luna", {"temperature": 0.5, "reasoning_effort": "none"}),
        ("openai", "gpt-4o-mini", {"temperature": 0.5, "reasoning_effort": "none"}),
        ("anthropic", "claude-haiku-4-5", {"temperature": 1, "reasoning_effort": "low"}),
        ("mistral", "codestral-latest", {"reasoning_effort": "none"}),
    ],
)
async def test_what_goes_together_is_not_refused(
    canned: Canned, accounts: Accounts, name: str, model: str, wanted: dict[str, Any]
) -> None:
    body = await sent(canned, accounts, name, model=model, **wanted)
    assert body.get("temperature") == wanted.get("temperature")


async def test_an_answer_after_a_schema_comes_from_both_mocks(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer("Where", '{"city": "Rome", "metres": 21}')
    request = ask("Where is it?", model=_MODELS[name], answer=_STRICT)
    reply = await accounts.at(mock.url_of(name), name).generate(request)
    assert json.loads(reply.text) == {"city": "Rome", "metres": 21}


def _offline(**fields: Any) -> ModelRequest:
    return ask("Where is it?", **fields)


async def test_the_model_without_a_key_keeps_to_a_schema() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"place": {"$ref": "#/$defs/a~1place"}, "near": {"type": "array"}},
        "$defs": {"a/place": _SCHEMA},
    }
    model = OfflineModel(SystemClock())
    events = await heard(model, _offline(answer=JsonAnswer("x", schema)))
    assert json.loads(text_of(events)) == {"place": {"city": "x", "metres": 1}, "near": ["x"]}


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/none"}, {"$ref": "http://x"}, {"$ref": 1}]
)
async def test_the_model_without_a_key_follows_no_reference_for_ever(schema: Any) -> None:
    model = OfflineModel(SystemClock())
    reply = await model.generate(_offline(answer=JsonAnswer("x", schema)))
    json.loads(reply.text)


async def test_the_model_without_a_key_answers_with_any_object() -> None:
    reply = await OfflineModel(SystemClock()).generate(_offline(answer=JsonAnswer()))
    assert json.loads(reply.text)["you_said"] == "Where is it?"
