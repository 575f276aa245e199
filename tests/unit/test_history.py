"""Rows become a conversation that every provider accepts."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.ids import CallId
from backend.domain.messages import Message, Text, ToolCall, ToolResult, parts_from_json
from backend.domain.runs import Step, history_from_json
from backend.domain.usage import Usage
from backend.runs.history import conversation, model_of, rounds, usage_of

USER = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
ASKER: dict[str, Any] = {"user_id": "user_a", "org_id": None, "priority": 0, "claims": {}}
ASSISTANT: dict[str, Any] = {"id": "a", "name": "A", "instructions": "", "tools": []}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def step(position: int, **data: Any) -> dict[str, Any]:
    call = {"call_id": f"c{position}", "name": "roll", "arguments": {}, "output": position}
    return {"position": position, "status": "completed", "data": {**call, **data}}


def turns(messages: list[Any], steps: list[Any] | None = None, *, texts_said: int = 0) -> Any:
    row = {"assistant": ASSISTANT, "asker": ASKER, "messages": messages, "steps": steps or []}
    return conversation(history_from_json(row, "r", texts_said=texts_said))


def test_replies_without_words_are_left_out() -> None:
    empty = {"role": "assistant", "content": []}
    assert [turn.role for turn in turns([USER, empty, USER])] == ["user", "user"]


def test_the_calls_of_one_round_stand_in_one_turn_before_their_results() -> None:
    _, asked, answered = turns([USER], [step(0, round=1), step(1, round=1)])
    assert [part.call_id for part in asked.parts] == ["c0", "c1"]
    assert [part.output for part in answered.parts] == [0, 1]


def test_a_text_stands_where_it_was_said_between_the_rounds() -> None:
    steps = [step(0, round=1, ordinal=1), step(1, round=2, ordinal=2)]
    found = turns([USER, said("first"), said("second")], steps, texts_said=2)
    assert [turn.role for turn in found] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [turn.text for turn in found if turn.role == "assistant"] == ["first", "second"]


def test_a_call_without_an_output_is_left_out() -> None:
    unanswered = step(0, round=1)
    del unanswered["data"]["output"]
    assert [turn.role for turn in turns([USER], [unanswered])] == ["user"]


def test_tool_parts_of_an_earlier_reply_become_turns_of_their_own() -> None:
    call = {"type": "tool_call", "call_id": "c", "name": "roll", "arguments": {}}
    result = {"type": "tool_result", "call_id": "c", "output": 4}
    reply = {"role": "assistant", "content": [call, result, {"type": "text", "text": "A four"}]}
    assert turns([USER, reply, USER]) == [
        Message("user", (Text("Hi"),)),
        Message("assistant", (ToolCall(CallId("c"), "roll"),)),
        Message("tool", (ToolResult(CallId("c"), 4),)),
        Message("assistant", (Text("A four"),)),
        Message("user", (Text("Hi"),)),
    ]


def test_a_text_that_the_owner_deleted_does_not_turn_the_question_into_an_answer() -> None:
    row = {"assistant": ASSISTANT, "asker": ASKER, "messages": [USER], "steps": []}
    history = history_from_json(row, "r", texts_said=1)
    assert [message.role for message in history.messages] == ["user"]


def test_rounds_and_their_cost_are_counted_over_all_attempts() -> None:
    cost = Usage(3, 1, 2, 0).as_json()
    steps = (
        Step(0, "completed", {"round": 1, "usage": cost}),
        Step(1, "completed", {"round": 1}),
        Step(2, "completed", {"round": 2, "usage": cost}),
    )
    assert rounds(steps) == 2
    assert usage_of(steps) == Usage(6, 2, 4, 0)


def test_the_model_is_the_one_that_asked_last() -> None:
    models = ("offline:one", "offline:two", None)
    steps = [Step(at, "completed", {"round": at, "model": it}) for at, it in enumerate(models)]
    assert model_of(steps) == "offline:two"
    assert model_of(steps[2:]) == ""


def test_parts_of_an_unknown_kind_are_left_out() -> None:
    content: list[Any] = [{"type": "hologram"}, {"type": "text", "text": "x"}, {"type": "text"}, 3]
    assert parts_from_json(content) == (Text("x"),)


@st.composite
def part_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    ids = st.sampled_from("abc")
    part = st.one_of(
        st.text(max_size=3).map(lambda text: {"type": "text", "text": text}),
        ids.map(lambda id_: {"type": "tool_call", "call_id": id_, "name": "n", "arguments": {}}),
        ids.map(lambda id_: {"type": "tool_result", "call_id": id_, "output": 1}),
    )
    return draw(st.lists(part, max_size=6))


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), part_lists()), max_size=5))
def test_every_call_is_followed_by_its_result_and_no_result_stands_alone(
    rows: list[tuple[str, Any]],
) -> None:
    found = turns([{"role": role, "content": content} for role, content in rows])
    for position, turn in enumerate(found):
        assert turn.parts
        calls = {part.call_id for part in turn.parts if isinstance(part, ToolCall)}
        following = found[position + 1].parts if position + 1 < len(found) else ()
        assert calls <= {part.call_id for part in following if isinstance(part, ToolResult)}
        results = {part.call_id for part in turn.parts if isinstance(part, ToolResult)}
        before = found[position - 1].parts if position else ()
        assert results <= {part.call_id for part in before if isinstance(part, ToolCall)}
