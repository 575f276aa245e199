"""What a provider thought before it called tools goes back to it, byte for byte, and to nobody else."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from backend.domain.ids import CallId
from backend.domain.messages import Message, Text, ToolCall, ToolResult
from backend.errors import ModelContextExceeded, ModelRefused, ModelUnavailable
from backend.integrations.models.kept import LARGEST_KEPT_BYTES
from backend.ports.models import Finished, ModelReply
from tests.models.accounts import PROVIDERS, Accounts
from tests.models.asking import COIN, DICE, ask, heard, said
from tests.models.canned import (
    STREAM_HEAD,
    Canned,
    Writer,
    call,
    created,
    ended,
    event,
    frames,
)
from tests.models.dialects import DIALECTS, whole

_SIGNED = "EqQBCkYIBRgCKkBzaWduYXR1cmU="
_SEALED = "gAAAAABencrypted-thoughts"
_MODELS = {
    "anthropic": "claude-haiku-4-5",
    "compatible": "deepseek-reasoner",
    "mistral": "magistral-small-latest",
    "openai": "gpt-6-luna",
}
_RESULTS = said(
    "tool", ToolResult(CallId("call_a"), {"rolled": 5}), ToolResult(CallId("call_b"), "heads")
)


def _thinking(sealed: str = _SEALED) -> list[Any]:
    """Return OpenAI's events of a thought that only it can read."""
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    done = {**item, "encrypted_content": sealed}
    return [
        event("response.output_item.added", output_index=0, item=item),
        event("response.output_item.done", output_index=0, item=done),
    ]


def _signing(signature: str = _SIGNED) -> list[Any]:
    """Return Anthropic's events of a thought that it has signed."""
    *begin, end = DIALECTS["anthropic"].think("Six sides.")
    index = json.loads(end.partition(b"data: ")[2])["index"]
    delta = {"type": "signature_delta", "signature": signature}
    told = {"type": "content_block_delta", "index": index, "delta": delta}
    return [*begin, f"event: content_block_delta\ndata: {json.dumps(told)}\n\n".encode(), end]


def _answers(name: str) -> list[Any]:
    """Return an answer with a thought, a word and two calls."""
    dialect = DIALECTS[name]
    begin = dialect.begin()
    match name:
        case "openai":
            thought = _thinking()
        case "anthropic":
            thought = _signing()
        case _:
            thought = dialect.think("Six sides.")
    return [*begin, *thought, *dialect.say("Rolling."), *dialect.call(), *dialect.end("tool_calls")]


async def first_round(canned: Canned, accounts: Accounts, name: str) -> ModelReply:
    canned.will_stream(*_answers(name))
    request = ask("Roll", model=_MODELS[name], tools=(DICE, COIN))
    return await accounts.at(canned.url_of(name), name).generate(request)


def turn_of(reply: ModelReply) -> Message:
    """Return the turn as the rows give it back, by way of a database's JSON."""
    kept = json.loads(json.dumps(reply.kept))
    return Message("assistant", (Text(reply.text), *reply.calls), kept)


async def second_round(
    canned: Canned, accounts: Accounts, name: str, turn: Message, **fields: Any
) -> Any:
    """Return what the server is told of the conversation with this turn in it."""
    canned.requests.clear()
    canned.will_stream(*whole(DIALECTS[name], DIALECTS[name].say("Five, and heads.")))
    asked = {"model": _MODELS[name], "tools": (DICE, COIN), **fields}
    await heard(accounts.at(canned.url_of(name), name), ask("Roll", turn, _RESULTS, **asked))
    (body,) = canned.requests
    return body["input" if name == "openai" else "messages"]


async def test_openai_gets_its_encrypted_thought_back_before_the_calls_it_led_to(
    canned: Canned, accounts: Accounts
) -> None:
    reply = await first_round(canned, accounts, "openai")
    assert canned.requests[0]["include"] == ["reasoning.encrypted_content"]
    assert canned.requests[0]["store"] is False
    told = await second_round(canned, accounts, "openai", turn_of(reply))
    thought, words, first, second = told[1:5]
    assert thought == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": _SEALED,
    }
    assert words["content"][0]["text"] == "Rolling."
    assert words["id"] == "msg_1"
    assert [(it["id"], it["call_id"]) for it in (first, second)] == [
        ("fc_call_a", "call_a"),
        ("fc_call_b", "call_b"),
    ]


async def test_anthropic_gets_its_signed_thought_back_first_of_all(
    canned: Canned, accounts: Accounts
) -> None:
    reply = await first_round(canned, accounts, "anthropic")
    told = await second_round(canned, accounts, "anthropic", turn_of(reply))
    thought, words, *calls = told[1]["content"]
    assert thought == {"type": "thinking", "thinking": "Six sides.", "signature": _SIGNED}
    assert words["text"] == "Rolling."
    assert [it["id"] for it in calls] == ["call_a", "call_b"]


async def test_a_compatible_server_gets_its_thought_back_in_its_field(
    canned: Canned, accounts: Accounts
) -> None:
    reply = await first_round(canned, accounts, "compatible")
    told = await second_round(canned, accounts, "compatible", turn_of(reply))
    assert told[1]["reasoning_content"] == "Six sides."
    assert told[1]["content"] == "Rolling."
    assert len(told[1]["tool_calls"]) == 2


async def test_mistral_gets_its_thought_back_as_one(canned: Canned, accounts: Accounts) -> None:
    reply = await first_round(canned, accounts, "mistral")
    told = await second_round(canned, accounts, "mistral", turn_of(reply))
    thought, words = told[1]["content"]
    assert thought["thinking"][0]["text"] == "Six sides."
    assert words["text"] == "Rolling."


@pytest.mark.parametrize("thinker", PROVIDERS)
async def test_no_other_provider_ever_sees_it(
    canned: Canned, accounts: Accounts, name: str, thinker: str
) -> None:
    if name == thinker:
        return
    reply = await first_round(canned, accounts, thinker)
    assert reply.kept
    told = str(await second_round(canned, accounts, name, turn_of(reply)))
    for secret in (_SEALED, _SIGNED, "Six sides.", "rs_1", "msg_1", "fc_call"):
        assert secret not in told
    assert "Rolling." in told


async def test_no_other_model_of_the_same_provider_sees_it(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    turn = turn_of(await first_round(canned, accounts, name))
    told = str(await second_round(canned, accounts, name, turn, model="claude-opus-5"))
    for secret in (_SEALED, _SIGNED, "Six sides."):
        assert secret not in told


async def test_no_other_server_of_the_same_kind_sees_it(canned: Canned, accounts: Accounts) -> None:
    turn = turn_of(await first_round(canned, accounts, "compatible"))
    assert turn.kept
    elsewhere = Message(turn.role, turn.parts, {**turn.kept, "provider": "vllm"})
    assert "Six sides." not in str(await second_round(canned, accounts, "compatible", elsewhere))


async def test_an_answer_without_calls_keeps_nothing(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    dialect = DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.think("Hm"), dialect.say("Five.")))
    reply = await accounts.at(canned.url_of(name), name).generate(ask("Roll", tools=(DICE,)))
    assert reply.kept is None


async def test_calls_without_a_thought_keep_nothing(
    canned: Canned, accounts: Accounts, name: str
) -> None:
    dialect = DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.call(), reason="tool_calls"))
    reply = await accounts.at(canned.url_of(name), name).generate(ask("Roll", tools=(DICE, COIN)))
    assert reply.calls
    assert reply.kept is None


async def test_thoughts_that_are_too_large_are_forgotten(
    canned: Canned, accounts: Accounts
) -> None:
    for size, is_kept in ((LARGEST_KEPT_BYTES // 2, True), (LARGEST_KEPT_BYTES, False)):
        canned.will_stream(created(), *_thinking("x" * size), *call(["{}"]), ended())
        request = ask("Roll", model="gpt-6-luna", tools=(DICE,))
        (*_, end) = await heard(accounts.at(canned.base_url), request)
        assert isinstance(end, Finished)
        assert (end.kept is not None) is is_kept


_BROKEN: list[Mapping[str, Any]] = [
    {},
    {"parts": None},
    {"parts": []},
    {"parts": ["x", {"call": True}, {"call": True}]},
    {"parts": [{"thought": "a"}, {"call": True}]},
    {"parts": [{"thought": "a", "details": 5}, {"call": True}, {"call": True}]},
]


@pytest.mark.parametrize("broken", _BROKEN)
async def test_what_does_not_fit_the_calls_is_left_out(
    canned: Canned, accounts: Accounts, name: str, broken: Any
) -> None:
    calls = (ToolCall(CallId("call_a"), "roll_dice"), ToolCall(CallId("call_b"), "flip_coin"))
    kept = {"provider": name, "model": _MODELS[name], **broken}
    told = await second_round(canned, accounts, name, Message("assistant", calls, kept))
    assert "roll_dice" in str(told)
    assert "thought" not in str(told)


async def test_who_may_not_think_in_the_middle_of_a_round_is_not_told_to(
    canned: Canned, accounts: Accounts
) -> None:
    # Older models of Anthropic's insist on a thought of their own before calls that wait.
    reply = await first_round(canned, accounts, "anthropic")
    foreign = await first_round(canned, accounts, "openai")
    for turn, thinks in ((turn_of(reply), True), (turn_of(foreign), False)):
        await second_round(canned, accounts, "anthropic", turn, reasoning_effort="low")
        assert ("thinking" in canned.requests[0]) is thinks


_FOREIGN = {"error": {"code": "invalid_encrypted_content", "message": "m", "type": "t"}}
_FINE = {"openai": whole(DIALECTS["openai"], DIALECTS["openai"].say("Five."))}


def will_refuse_thoughts(canned: Canned, status: int = 400, body: Any = None) -> None:
    """Requests with a thought of OpenAI's are refused, others are answered."""

    async def answer(writer: Writer) -> None:
        if _SEALED not in str(canned.requests[-1]):
            writer.write(STREAM_HEAD + frames(*_FINE["openai"]))
            return
        content = json.dumps(body or _FOREIGN).encode()
        head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)

    canned.will(answer)


async def test_thoughts_that_another_account_cannot_read_are_left_out(
    canned: Canned, accounts: Accounts
) -> None:
    turn = turn_of(await first_round(canned, accounts, "openai"))
    canned.requests.clear()
    will_refuse_thoughts(canned)
    request = ask("Roll", turn, _RESULTS, model="gpt-6-luna", tools=(DICE, COIN))
    reply = await accounts.at(canned.base_url).generate(request)
    assert reply.text == "Five."
    first, second = canned.requests
    assert _SEALED in str(first)
    assert "rs_1" not in str(second)
    assert "call_a" in str(second)


_TOO_LONG = {"error": {"code": "context_length_exceeded", "message": "m", "type": "t"}}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, None, ModelRefused),
        (500, None, ModelUnavailable),
        (400, _TOO_LONG, ModelContextExceeded),
    ],
)
async def test_what_is_not_about_thoughts_is_not_asked_twice(
    canned: Canned, accounts: Accounts, status: int, body: Any, error: type[Exception]
) -> None:
    turn = turn_of(await first_round(canned, accounts, "openai"))
    canned.requests.clear()
    will_refuse_thoughts(canned, status, body)
    request = ask("Roll", turn, _RESULTS, model="gpt-6-luna", tools=(DICE, COIN))
    with pytest.raises(error):
        await accounts.at(canned.base_url).generate(request)
    assert len(canned.requests) == 1
