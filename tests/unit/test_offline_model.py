"""The stand-in for a language model: always the same, on every path that a real one has."""

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devkit.offline_arguments import fill
from backend.devkit.offline_model import DIMENSIONS, OfflineModel
from backend.devkit.offline_script import Script, ScriptInvalid, parse_script, split_words
from backend.domain.assistants import FunctionTool
from backend.domain.ids import CallId
from backend.domain.messages import Message, Text, ToolCall, ToolResult
from backend.domain.options import Named
from backend.errors import ModelRateLimited, ModelRefused, ModelStreamTruncated, ModelUnavailable
from backend.ports.models import Finished, ModelReply, ModelRequest, TextDelta
from tests.models.asking import options_among
from tests.support.manual_clock import ManualClock

ROLL = FunctionTool(
    "roll_dice",
    "",
    {"type": "object", "properties": {"sides": {"type": "integer", "minimum": 6}}},
)
DRAW = FunctionTool("draw_map", "", {"type": "object", "properties": {}})


def request(text: str, **more: Any) -> ModelRequest:
    messages = [Message("user", (Text(text),)), *more.pop("then", ())]
    options = options_among(more)
    return ModelRequest("demo", messages, options=options, **more)


def script(**keys: Any) -> str:
    return f"offline: {json.dumps(keys)}"


async def answer(text: str, **more: Any) -> ModelReply:
    return await OfflineModel(ManualClock()).generate(request(text, **more))


async def test_it_says_that_it_is_no_language_model_and_quotes_the_user() -> None:
    reply = await answer("Who are you?")
    assert "no language model" in reply.text
    assert "Who are you?" in reply.text


async def test_the_same_question_has_the_same_answer_and_the_same_cost() -> None:
    assert await answer("Hello") == await answer("Hello")


async def test_it_streams_word_by_word() -> None:
    events = [it async for it in OfflineModel(ManualClock()).stream(request("Hello"))]
    words = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(words) > 10
    assert all(len(word.split()) == 1 for word in words)
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("Please roll_dice and draw_map", "auto", ["roll_dice", "draw_map"]),
        ("Please roll_dice", "none", []),
        ("Hello", "auto", []),
        ("Hello", "required", ["roll_dice"]),
        ("Hello", Named("draw_map"), ["draw_map"]),
    ],
)
async def test_it_calls_tools_as_it_is_told(text: str, choice: Any, called: list[str]) -> None:
    reply = await answer(text, tools=[ROLL, DRAW], tool_choice=choice)
    assert [call.name for call in reply.calls] == called
    assert reply.reason == ("tool_calls" if called else "stop")


async def test_calls_are_not_parallel_where_that_is_forbidden() -> None:
    text = "Please roll_dice and draw_map"
    reply = await answer(text, tools=[ROLL, DRAW], parallel_tool_calls=False)
    assert len(reply.calls) == 1


async def test_it_fills_arguments_from_the_schema() -> None:
    reply = await answer("roll_dice", tools=[ROLL])
    assert reply.calls[0].arguments == {"sides": 6}


async def test_it_goes_on_after_the_outputs_and_mentions_them() -> None:
    call = Message("assistant", (ToolCall(CallId("c"), "roll_dice"),))
    result = Message("tool", (ToolResult(CallId("c"), 17),))
    reply = await answer("roll_dice", tools=[ROLL], then=[call, result])
    assert reply.calls == ()
    assert "roll_dice returned 17" in reply.text


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("retryable", ModelUnavailable),
        ("rate_limited", ModelRateLimited),
        ("fatal", ModelRefused),
        ("truncated", ModelStreamTruncated),
        ("defect", LookupError),
    ],
)
async def test_a_fault_happens_in_the_attempts_that_it_is_meant_for(
    kind: str, error: type[Exception]
) -> None:
    text = script(deltas=5, fault={"kind": kind, "attempts": 2, "after": 3})
    for attempt in (1, 2):
        with pytest.raises(error):
            await answer(text, attempt=attempt)
    assert (await answer(text, attempt=3)).text == "word1 word2 word3 word4 word5 "


async def test_words_before_a_fault_are_heard() -> None:
    text = script(deltas=5, fault={"kind": "truncated", "after": 3})
    events = [it async for it in OfflineModel(ManualClock()).stream(request(text))]
    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "word1 ",
        "word2 ",
        "word3 ",
    ]


async def test_nobody_can_crash_a_worker_where_the_operator_does_not_allow_it() -> None:
    reply = await answer(script(fault={"kind": "crash"}))
    assert "may not crash" in reply.text


async def test_nobody_can_hold_a_worker_for_long_where_the_operator_does_not_allow_it() -> None:
    for trials, longest_s in ((False, 2.0), (True, 600.0)):
        clock = ManualClock()
        text = script(deltas=10, first_delay_ms=60_000, delay_ms=60_000)
        model = OfflineModel(clock, trials=trials)
        began = clock.now
        reply = asyncio.create_task(model.generate(request(text)))
        while not reply.done():
            await clock.advance(0.1)
        assert clock.now - began <= longest_s + 0.2
        assert clock.now - began > longest_s * 0.9


async def test_a_wrong_script_is_answered_with_what_is_wrong() -> None:
    reply = await answer('offline: {"deltas": -1, "fualt": 1}')
    assert "deltas" in reply.text
    assert "fualt" in reply.text


async def test_tools_of_several_rounds_are_asked_for_one_round_after_the_other() -> None:
    text = script(tool_calls=[[{"name": "a"}], [{"name": "b"}]], text="done")
    first = await answer(text)
    turn = [Message("assistant", first.calls), Message("tool", (ToolResult(CallId("x"), 1),))]
    second = await answer(text, then=turn)
    third = await answer(text, then=turn * 2)
    assert [[call.name for call in it.calls] for it in (first, second, third)] == [["a"], ["b"], []]


async def test_embeddings_are_unit_vectors_near_each_other_for_shared_words() -> None:
    model = OfflineModel(ManualClock())
    found = await model.embed(["a red dragon", "the red dragon", "tax law", ""], model="demo")
    lengths = [math.hypot(*vector) for vector in found.vectors]
    assert all(math.isclose(length, 1.0) for length in lengths)
    assert {len(vector) for vector in found.vectors} == {DIMENSIONS}
    dragon, same, law, _ = found.vectors
    assert _cosine(dragon, same) > _cosine(dragon, law)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@given(st.text())
def test_words_joined_are_the_text_again(text: str) -> None:
    assert "".join(split_words(text)) == text


@given(st.text(), st.text())
def test_any_text_is_a_script_or_none_or_wrong(before: str, body: str) -> None:
    try:
        found = parse_script(f"{before}\noffline: {{{body}}}")
    except ScriptInvalid:
        return
    assert found is None or isinstance(found, Script)


_LEAVES = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]
    + [{"enum": ["x", 2]}, {"const": 3}, {"default": []}, {}, {"type": ["string", "null"]}, True]
)


@given(
    st.recursive(
        _LEAVES,
        lambda inner: (
            st.dictionaries(st.text(max_size=3), inner, max_size=3).map(
                lambda properties: {"type": "object", "properties": properties}
            )
            | inner.map(lambda items: {"type": "array", "items": items})
            | inner.map(lambda choice: {"anyOf": [choice]})
        ),
    )
)
def test_any_schema_is_filled_with_json_and_always_the_same(schema: Any) -> None:
    assert json.dumps(fill(schema)) == json.dumps(fill(schema))


def test_a_users_schema_does_not_decide_how_much_is_built() -> None:
    schema: dict[str, Any] = {"type": "string", "minLength": 10**12}
    for _ in range(7):
        schema = {"type": "array", "minItems": 10**9, "items": schema}

    assert len(json.dumps(fill(schema))) < 20_000


@pytest.mark.parametrize("bound", ["many", None, [1], {"$ref": "#"}, -5, 0.5])
def test_a_bound_that_is_no_count_is_survived(bound: Any) -> None:
    for kind in ("array", "string", "integer", "number"):
        fill({"type": kind, "minItems": bound, "minLength": bound, "minimum": bound})
