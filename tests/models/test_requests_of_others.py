"""What Anthropic, Mistral and compatible servers are sent: the conversation, and nothing else."""

from typing import Any

import pytest

from backend.domain.ids import CallId
from backend.domain.messages import Message, Reasoning, ToolCall, ToolResult
from backend.domain.options import Named
from backend.integrations.models.keys import NO_KEY
from backend.ports.models import ModelRequest
from tests.models.accounts import KEY, Accounts
from tests.models.asking import COIN, DICE, ask, heard, said
from tests.models.canned import Canned
from tests.models.dialects import DIALECTS, whole

OTHERS = ["anthropic", "compatible", "mistral"]
_CACHED = {"type": "ephemeral", "ttl": "5m"}
_OPENAIS = {
    "OPENAI_API_KEY": "sk-of-openai",
    "OPENAI_ORG_ID": "org-of-openai",
    "OPENAI_PROJECT_ID": "proj-of-openai",
    "OPENAI_CUSTOM_HEADERS": "x-gateway: secret-of-openai",
}


async def sent(
    canned: Canned, accounts: Accounts, name: str, request: ModelRequest
) -> dict[str, Any]:
    """Return what the server was sent for this request, without what is null."""
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say("Hello")))
    await heard(accounts.at(canned.url_of(name), name), request)
    (body,) = canned.requests
    return {field: value for field, value in body.items() if value is not None}


async def test_a_plain_question_to_anthropic(canned: Canned, accounts: Accounts) -> None:
    request = ask("How are you?", model="claude-haiku-5-5", instructions="Be brief.")
    body = await sent(canned, accounts, "anthropic", request)
    headers = body.pop("headers")
    assert body == {
        "path": "/v1/messages",
        "model": "claude-haiku-5-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "How are you?"}]}],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": _CACHED}],
        "cache_control": _CACHED,
        "max_tokens": 128_000,
        "stream": True,
    }
    assert KEY in headers.get("x-api-key", headers.get("authorization"))


async def test_a_plain_question_to_mistral(canned: Canned, accounts: Accounts) -> None:
    request = ask("How are you?", model="mistral-small-latest", instructions="Be brief.")
    body = await sent(canned, accounts, "mistral", request)
    assert body.pop("headers")["authorization"] == f"bearer {KEY}"
    assert body == {
        "path": "/v1/chat/completions",
        "model": "mistral-small-latest",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How are you?"},
        ],
        "stream": True,
    }


@pytest.mark.parametrize("model", ["llama3.2", "qwen3:8b", "mistralai/Ministral-8B", "gpt-oss:20b"])
async def test_a_plain_question_to_a_compatible_server(
    canned: Canned, accounts: Accounts, model: str
) -> None:
    request = ask("How are you?", model=model, instructions="Be brief.")
    body = await sent(canned, accounts, "compatible", request)
    assert body.pop("headers")["authorization"] == f"bearer {KEY}"
    assert body == {
        "path": "/v1/chat/completions",
        "model": model,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How are you?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _a_round() -> tuple[Message, ...]:
    calls = (
        ToolCall(CallId("call_a_of_openais_1"), "roll_dice", {"sides": 6}),
        ToolCall(CallId("call_a_of_openais_2"), "roll_dice", {}),
        ToolCall(CallId("fitting09"), "flip_coin", {}),
    )
    results = (
        ToolResult(calls[1].call_id, {"rolled": [3, None, "é"]}),
        ToolResult(calls[0].call_id, "The table is too small.", is_error=True),
        ToolResult(calls[2].call_id, "heads"),
    )
    return said("assistant", Reasoning("secret"), "Rolling", *calls), said("tool", *results)


@pytest.mark.parametrize("name", ["compatible", "mistral"])
async def test_ids_of_calls_fit_the_templates_of_mistrals_models(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    body = await sent(canned, accounts, name, ask("Roll", *_a_round(), tools=(DICE,)))
    (answer,) = (it for it in body["messages"] if it["role"] == "assistant")
    made = [it["id"] for it in answer["tool_calls"]]
    returned = {it["tool_call_id"]: it for it in body["messages"] if it["role"] == "tool"}
    assert all(len(it) == 9 and it.isalnum() for it in made)
    assert made[2] == "fitting09"
    assert "too small" in returned[made[0]]["content"]
    assert returned[made[1]]["content"] == '{"rolled":[3,null,"é"]}'
    assert len(set(made)) == len(returned) == 3
    assert "secret" not in str(body)


async def test_calls_and_results_go_to_anthropic_beside_each_other(
    canned: Canned, accounts: Accounts
) -> None:
    body = await sent(canned, accounts, "anthropic", ask("Roll", *_a_round(), tools=(DICE,)))
    question, answer, results = body["messages"]
    assert [it["role"] for it in (question, answer, results)] == ["user", "assistant", "user"]
    assert [it["type"] for it in answer["content"]] == ["text", *["tool_use"] * 3]
    told = {it["tool_use_id"]: it for it in results["content"]}
    assert told.keys() == {it["id"] for it in answer["content"][1:]}
    assert told["call_a_of_openais_1"]["is_error"]
    assert "secret" not in str(body)


@pytest.mark.parametrize("name", [*OTHERS, "openai"])
async def test_nothing_blank_is_told(canned: Canned, accounts: Accounts, name: str) -> None:
    turns = ("Hi", said("assistant", " \n"), said("assistant", "\n\n", "Well"), "Again")
    body = await sent(canned, accounts, name, ask(*turns, instructions=" "))
    told = body["input" if name == "openai" else "messages"]
    assert [it["role"] for it in told] == ["user", "assistant", "user"]
    assert "\\n" not in str(told)
    assert "instructions" not in body
    assert "system" not in body


@pytest.mark.parametrize("name", OTHERS)
async def test_tools_keep_the_schema_of_their_author(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    body = await sent(canned, accounts, name, ask("Roll", tools=(DICE, COIN)))
    told = [it.get("function", it) for it in body["tools"]]
    assert [it["name"] for it in told] == ["roll_dice", "flip_coin"]
    assert [it.get("parameters", it.get("input_schema")) for it in told] == [
        DICE.parameters,
        COIN.parameters,
    ]
    assert "'strict': True" not in str(body)


_CHOICES: dict[str, list[Any]] = {
    "anthropic": [
        {"type": "auto"},
        {"type": "any"},
        {"type": "tool", "name": "flip_coin"},
    ],
    "compatible": ["auto", "required", {"type": "function", "function": {"name": "flip_coin"}}],
    "mistral": ["auto", "any", {"type": "function", "function": {"name": "flip_coin"}}],
}


@pytest.mark.parametrize("name", OTHERS)
async def test_the_choice_among_tools_is_passed_on_in_each_ones_words(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    for choice, told in zip(("auto", "required", Named("flip_coin")), _CHOICES[name], strict=True):
        canned.requests.clear()
        request = ask("Roll", tools=(DICE, COIN), tool_choice=choice)
        body = await sent(canned, accounts, name, request)
        assert body.get("tool_choice", told) == told
        assert choice == "auto" or "tool_choice" in body


@pytest.mark.parametrize("name", OTHERS)
async def test_parallel_calls_and_length_are_limited_on_request(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    request = ask("Roll", tools=(DICE,), parallel_tool_calls=False, max_output_tokens=77)
    body = await sent(canned, accounts, name, request)
    assert body["max_tokens"] == 77
    if name == "anthropic":
        assert body["tool_choice"]["disable_parallel_tool_use"] is True
    else:
        assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize("key", [NO_KEY, KEY])
async def test_a_compatible_server_hears_nothing_of_an_account_with_openai(
    canned: Canned, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    for variable, value in _OPENAIS.items():
        monkeypatch.setenv(variable, value)
    canned.will_stream(*whole(DIALECTS["compatible"], []))
    provider = accounts.at(canned.base_url, "compatible", keys=(key,))
    await provider.generate(ask("Hi"))
    vectors = {"object": "list", "model": "m", "data": [{"index": 0, "embedding": [1.0]}]}
    canned.will_send(200, vectors)
    await provider.embed(["a"], model="m")
    mistral = accounts.at(canned.url, "mistral")
    await mistral.embed(["a"], model="m")
    for request in canned.requests:
        assert "of-openai" not in str(request["headers"])
    assert canned.requests[0]["headers"]["authorization"] == f"bearer {key or 'none'}"


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_an_address_may_end_as_people_write_it(
    canned: Canned, accounts: Accounts, ending: str
) -> None:
    for name in ("anthropic", "mistral"):
        canned.will_stream(*whole(DIALECTS[name], []))
        await accounts.at(canned.url + ending, name).generate(ask("Hi"))
    assert [it["path"] for it in canned.requests] == ["/v1/messages", "/v1/chat/completions"]
