"""What was cut is told in a few words, once for as long as the same is cut."""

import json

import pytest

from backend.domain.ids import CallId
from backend.domain.messages import Document, Message, Picture, Text, ToolCall, ToolResult
from backend.domain.options import Truncation
from backend.domain.tokens import bound_of
from backend.runs.summaries import (
    Summary,
    holds_for,
    question_of,
    summary_from_json,
    summary_of,
)
from backend.runs.truncation import Cut, cut
from tests.unit.test_truncation import answer, talk, user


def a_cut(*dropped: Message) -> Cut:
    return Cut((), dropped, (user("now"),))


def test_the_question_holds_all_that_was_dropped_as_words() -> None:
    call = ToolCall(CallId("c"), "roll_dice", {"sides": 6})
    made = a_cut(
        Message("user", (Text("Roll"), Picture(b"\x89PNG", "image/png"))),
        Message("user", (Document("The attached file 'a'", "Leases", b"%PDF"),)),
        Message("assistant", (call,)),
        Message("tool", (ToolResult(CallId("c"), {"rolled": 5}),)),
        answer("Five."),
        Message("assistant", ()),
    )
    (turn,) = question_of(made)
    assert turn.role == "user"
    assert turn.text == (
        "The conversation:\n\n"
        "User: Roll\n[a picture]\n\n"
        "User: [The attached file 'a': Leases]\n\n"
        'Assistant: [calls roll_dice with {"sides":6}]\n\n'
        'Tool: [result: {"rolled":5}]\n\n'
        "Assistant: Five."
    )


def test_a_summary_holds_until_more_is_dropped() -> None:
    turns = talk(8)
    made = cut(turns, Truncation(), 2_000)
    kept = summary_from_json(json.loads(json.dumps(summary_of(made, " They talked. ").as_json())))
    assert kept is not None
    assert kept.text == "They talked."
    assert holds_for(kept, cut([*turns, answer("yes")], Truncation(), 2_000))
    more = cut(talk(20), Truncation(), 2_000)
    assert not holds_for(kept, more)
    assert not holds_for(None, made)


def test_of_what_was_told_already_the_summary_is_read_again_and_not_the_words() -> None:
    earlier = summary_of(a_cut(user("one"), answer("two")), "One and two.")
    (turn,) = question_of(a_cut(user("one"), answer("two"), user("three")), earlier)
    assert "One and two." in turn.text
    assert "User: three" in turn.text
    assert "User: one" not in turn.text


def test_a_summary_of_other_messages_is_not_believed() -> None:
    earlier = summary_of(a_cut(user("one"), answer("edited since")), "One and two.")
    (turn,) = question_of(a_cut(user("one"), answer("two"), user("three")), earlier)
    assert "One and two." not in turn.text
    assert "User: one" in turn.text


@pytest.mark.parametrize("letter", ["x", "龍"])
@pytest.mark.parametrize("window", [8_192, 10**6])
def test_a_question_leaves_room_for_the_answer(letter: str, window: int) -> None:
    long = a_cut(*(user(f"{number} {letter * 7_000}") for number in range(80)))
    (turn,) = question_of(long, window_tokens=window)
    assert bound_of(turn) < min(window, 100_000) * 0.6
    assert ("User: 0 " in turn.text, letter * 20 + "\n\n[…]" in turn.text) == (True, True)


def test_what_is_no_summary_is_none() -> None:
    assert summary_from_json({"text": "a", "covers": 1, "digest": "d"}) == Summary("a", 1, "d")
    for row in (None, "a", {}, {"text": 1, "covers": 1, "digest": "d"}):
        assert summary_from_json(row) is None
