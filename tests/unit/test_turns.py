"""The rounds of one run: their numbering, their results, and what an earlier attempt left open."""

from typing import Any

from backend.domain.ids import CallId
from backend.domain.messages import Message, Text, ToolCall, ToolResult
from backend.domain.runs import History, Step, history_from_json
from backend.domain.usage import Usage
from backend.ports.models import ModelReply
from backend.runs.turns import Turns
from tests.support.manual_clock import ManualClock

ROW: dict[str, Any] = {
    "assistant": {"id": "a", "name": "A", "instructions": "", "tools": []},
    "asker": {"user_id": "user_a", "org_id": None, "priority": 0, "claims": {}},
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Roll"}]}],
    "steps": [],
}
KEPT = {"provider": "openai", "parts": []}


def history(*steps: Step) -> History:
    rows = [{"position": it.position, "status": it.status, "data": it.data} for it in steps]
    return history_from_json({**ROW, "steps": rows}, "r", texts_said=0)


def reply(*ids: str, text: str = "") -> ModelReply:
    calls = tuple(ToolCall(CallId(it), "roll", {"of": it}) for it in ids)
    return ModelReply(text, "tool_calls", Usage(3), calls, "openai:gpt", KEPT)


def step(position: int, **data: Any) -> Step:
    call: dict[str, Any] = {
        "call_id": f"c{position}",
        "name": "roll",
        "arguments": {},
        "round": 1,
        "ordinal": 0,
    }
    return Step(position, "in_progress", {**call, **data})


def test_a_round_is_open_until_each_of_its_calls_has_a_result() -> None:
    turns = Turns(history())
    first, second = turns.begin(reply("c1", "c2"), ManualClock(), ordinal=0)
    assert turns.open == [first, second]
    turns.settle(first, 4, is_error=False)
    assert turns.open == [second]
    turns.settle(second, {"error": "x"}, is_error=True)
    assert turns.open == []
    assert turns.messages[1:] == [
        Message(
            "assistant",
            (
                ToolCall(CallId("c1"), "roll", {"of": "c1"}),
                ToolCall(CallId("c2"), "roll", {"of": "c2"}),
            ),
        ),
        Message(
            "tool",
            (ToolResult(CallId("c1"), 4), ToolResult(CallId("c2"), {"error": "x"}, is_error=True)),
        ),
    ]


def test_what_belongs_to_a_round_stands_in_its_first_step() -> None:
    turns = Turns(history())
    first, second = turns.begin(reply("c1", "c2"), ManualClock(), ordinal=0)
    assert (first.data["usage"], first.data["model"]) == (Usage(3).as_json(), "openai:gpt")
    assert "usage" not in second.data
    assert (first.data["round"], second.data["round"], turns.rounds) == (1, 1, 1)


def test_a_provider_sees_again_what_it_kept_with_its_calls() -> None:
    turns = Turns(history())
    (made,) = turns.begin(reply("c1", text="A moment."), ManualClock(), ordinal=1)
    done = turns.settle(made, 4, is_error=False)
    for seen in (turns, Turns(history(done))):
        assert [turn.kept for turn in seen.messages if turn.role == "assistant"] == [KEPT]


def test_text_before_the_calls_is_said_once() -> None:
    turns = Turns(history())
    (made,) = turns.begin(reply("c1", text="A moment."), ManualClock(), ordinal=1)
    turns.settle(made, 4, is_error=False)
    said = [part for turn in turns.messages for part in turn.parts if isinstance(part, Text)]
    assert said == [Text("Roll"), Text("A moment.")]


def test_an_id_that_is_missing_or_used_is_replaced() -> None:
    turns = Turns(history(step(0, output=1)))
    made = turns.begin(reply("c0", "", "c9", "c9"), ManualClock(), ordinal=0)
    ids = [str(it.data["call_id"]) for it in made]
    assert ids[2] == "c9"
    assert len({*ids, "c0", ""}) == 6
    assert [it.position for it in made] == [1, 2, 3, 4]


def test_what_an_earlier_attempt_began_is_open_and_known_as_interrupted() -> None:
    turns = Turns(history(step(0, output=1), step(1)))
    (left,) = turns.open
    assert turns.was_interrupted(left)
    (fresh,) = turns.begin(reply("c5"), ManualClock(), ordinal=0)
    assert not turns.was_interrupted(fresh)


def test_of_a_thousand_calls_at_once_only_so_many_are_made() -> None:
    made = Turns(history()).begin(reply(*map(str, range(1000))), ManualClock(), ordinal=0)
    assert len(made) == 64


def test_what_tools_say_in_one_run_has_an_end() -> None:
    turns = Turns(history())
    steps = turns.begin(reply(*map(str, range(40))), ManualClock(), ordinal=0)
    done = [turns.settle(it, "x" * 250_000, is_error=False) for it in steps]
    refused = [it for it in done if it.status == "failed"]
    assert len(refused) == 7
    assert {it.data["output"]["error"] for it in refused} == {"too_much_output"}  # type: ignore[index,call-overload]
    (left,) = Turns(history(*done[:-1], steps[-1])).open
    assert Turns(history(*done[:33])).settle(left, "x" * 250_000, is_error=False).status == "failed"


def test_arguments_that_no_row_can_hold_are_left_out() -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    calls = tuple(
        ToolCall(CallId(it), "roll", {"x": value}) for it, value in (("a", deep), ("b", 10**400))
    )
    made = Turns(history()).begin(
        ModelReply("", "tool_calls", Usage(), calls), ManualClock(), ordinal=0
    )
    assert [it.data["arguments"] for it in made] == [{}, {"x": None}]
