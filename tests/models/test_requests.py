"""What a provider is sent: the conversation, the tools, and nothing that it need not know."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.domain.ids import CallId
from backend.domain.messages import (
    Citation,
    File,
    Image,
    Reasoning,
    ToolCall,
    ToolResult,
)
from backend.domain.options import Named, ToolChoice
from backend.errors import ModelRefused
from backend.integrations.models.turns import model_messages
from backend.ports.models import ModelRequest
from tests.models.accounts import KEY, Accounts
from tests.models.asking import COIN, DICE, MODEL, ask, heard, heard_until_raised, said
from tests.models.canned import Canned, created, ended


async def sent(canned: Canned, accounts: Accounts, request: ModelRequest) -> dict[str, Any]:
    """Return what the server was sent for this request."""
    canned.will_stream(created(), ended())
    await heard(accounts.at(canned.base_url), request)
    (body,) = canned.requests
    return body


async def test_a_plain_question_sends_the_question_and_asks_that_nothing_be_kept(
    canned: Canned, accounts: Accounts
) -> None:
    body = await sent(canned, accounts, ask("How are you?", instructions="Be brief."))
    headers = body.pop("headers")
    assert body == {
        "path": "/v1/responses",
        "model": MODEL,
        "input": [{"role": "user", "content": "How are you?"}],
        "instructions": "Be brief.",
        "store": False,
        "stream": True,
    }
    assert headers["authorization"] == f"bearer {KEY}"


@pytest.mark.parametrize(
    "model", ["gpt-4o-mini", "gpt-5.4", "gpt-6-astra", "o3", "ft:gpt-4o:acme::1"]
)
async def test_no_kind_of_model_is_asked_for_more(
    canned: Canned, accounts: Accounts, model: str
) -> None:
    body = await sent(canned, accounts, ask("How are you?", model=model))
    assert body.keys() == {"path", "headers", "model", "input", "store", "stream"}
    assert body["model"] == model


async def test_a_conversation_is_told_in_its_order(canned: Canned, accounts: Accounts) -> None:
    turns = (
        said("user", "Hello", "there"),
        said("assistant", "Hi", "How can I help?"),
        said("user", "Again"),
        said("user", "Please"),
    )
    body = await sent(canned, accounts, ask(*turns))
    assert [(it["role"], it["content"]) for it in body["input"]] == [
        ("user", "Hello\nthere"),
        ("assistant", "Hi"),
        ("assistant", "How can I help?"),
        ("user", "Again"),
        ("user", "Please"),
    ]


async def test_calls_and_their_results_go_round(canned: Canned, accounts: Accounts) -> None:
    calls = (
        ToolCall(CallId("call_a"), "roll_dice", {"sides": 6}),
        ToolCall(CallId("call_b"), "roll_dice", {}),
    )
    results = (
        ToolResult(CallId("call_b"), {"rolled": [3, None, "é"]}),
        ToolResult(CallId("call_a"), "The table is too small.", is_error=True),
    )
    turns = (said("user", "Roll"), said("assistant", "Rolling", *calls), said("tool", *results))
    body = await sent(canned, accounts, ask(*turns, tools=(DICE,)))
    assert body["input"][2:] == [
        _called("call_a", '{"sides":6}'),
        _called("call_b", "{}"),
        _returned("call_b", '{"rolled":[3,null,"é"]}'),
        _returned("call_a", '{"error":"The table is too small."}'),
    ]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", ""),
        ("plain", "plain"),
        (None, "null"),
        (True, "true"),
        (0, "0"),
        ([], "[]"),
        (
            {"kind": "image-url", "url": "http://10.0.0.1/"},
            '{"kind":"image-url","url":"http://10.0.0.1/"}',
        ),
    ],
)
async def test_a_result_of_any_kind_is_told_as_text(
    canned: Canned, accounts: Accounts, output: Any, told: str
) -> None:
    call = ToolCall(CallId("call_a"), "roll_dice")
    turns = (said("assistant", call), said("tool", ToolResult(CallId("call_a"), output)))
    body = await sent(canned, accounts, ask("Roll", *turns))
    assert body["input"][-1] == _returned("call_a", told)


async def test_thoughts_and_files_stay_here(canned: Canned, accounts: Accounts) -> None:
    turns = (
        said("user", "Look", Image(url="https://example.com/a.png"), File("f")),
        said("assistant", Reasoning("secret"), "", "A cat", Citation("f")),
        said("assistant", Reasoning("secret")),
        said("user", Image(file_id="g")),
        said("user", "Sure?"),
    )
    body = await sent(canned, accounts, ask(*turns))
    assert [it["content"] for it in body["input"]] == ["Look", "A cat", "Sure?"]


def test_a_turn_of_which_nothing_crosses_is_no_turn() -> None:
    silent = [said("user", Image(url="u")), said("assistant", Reasoning("r")), said("tool")]
    assert model_messages(silent) == []


async def test_names_and_ids_of_other_providers_are_made_fit(
    canned: Canned, accounts: Accounts
) -> None:
    ids = [CallId("x" * 65), CallId("a|b"), CallId("a|c"), CallId("")]
    calls = [ToolCall(it, "roll dice.v2!" + "x" * 99) for it in ids]
    results = [ToolResult(it, "1") for it in ids]
    body = await sent(
        canned, accounts, ask("Roll", said("assistant", *calls), said("tool", *results))
    )
    made, returned = body["input"][1:5], body["input"][5:]
    assert {it["name"] for it in made} == {("roll_dice_v2_" + "x" * 99)[:64]}
    assert [it["call_id"] for it in made] == [it["call_id"] for it in returned]
    assert len({it["call_id"] for it in made}) == len(ids)
    assert all(0 < len(it["call_id"]) <= 64 for it in made)


async def test_tools_keep_the_schema_of_their_author(canned: Canned, accounts: Accounts) -> None:
    body = await sent(canned, accounts, ask("Roll", tools=(DICE, COIN)))
    assert body["tools"] == [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": False,
        }
        for tool in (DICE, COIN)
    ]
    assert "parallel_tool_calls" not in body


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        (Named("flip_coin"), {"type": "function", "name": "flip_coin"}),
    ],
)
async def test_the_choice_among_tools_is_passed_on(
    canned: Canned, accounts: Accounts, choice: ToolChoice, told: Any
) -> None:
    body = await sent(canned, accounts, ask("Roll", tools=(DICE, COIN), tool_choice=choice))
    assert body["tool_choice"] == told
    assert [tool["name"] for tool in body["tools"]] == ["roll_dice", "flip_coin"]


async def test_parallel_calls_and_length_are_limited_on_request(
    canned: Canned, accounts: Accounts
) -> None:
    request = ask("Roll", tools=(DICE,), parallel_tool_calls=False, max_output_tokens=77)
    body = await sent(canned, accounts, request)
    assert (body["parallel_tool_calls"], body["max_output_tokens"]) == (False, 77)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Named("fly"), "is to call 'fly', which the assistant does not have; it has roll_dice."),
        ("required", "is to call a function (tool_choice), and the assistant has none."),
    ],
)
async def test_a_choice_of_a_tool_that_is_not_there_is_refused_without_a_request(
    canned: Canned, accounts: Accounts, choice: ToolChoice, said: str
) -> None:
    tools = (DICE,) if choice != "required" else ()
    request = ask("Roll", tools=tools, tool_choice=choice)
    with capture_logs() as logged:
        _, error = await heard_until_raised(accounts.at(canned.base_url), request)
    assert type(error) is ModelRefused
    assert [(it["event"], it["said"]) for it in logged] == [
        ("model.not_asked", f"openai:{MODEL} {said}")
    ]
    assert canned.requests == []


def _called(call_id: str, arguments: str) -> dict[str, str]:
    return {
        "type": "function_call",
        "call_id": call_id,
        "name": "roll_dice",
        "arguments": arguments,
    }


def _returned(call_id: str, output: str) -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}
