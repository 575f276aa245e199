"""Equal requests have equal keys, and whatever makes an answer differ makes the key differ."""

from dataclasses import replace
from typing import Any

import pytest

from backend.domain.asker import Asker
from backend.domain.ids import CallId
from backend.domain.messages import Image, Message, Reasoning, Text, ToolCall, ToolResult
from backend.domain.options import JsonAnswer, Options
from backend.governance.keys import (
    embedding_key,
    owner_of,
    question_key,
    response_key,
    result_key,
)
from tests.models.asking import COIN, DICE, ask, said

BASE = ask("Hello", said("assistant", "Hi"), "How?", model="openai:a", tools=(DICE,))
ADA = Asker("user_a", "org_1", "assistant_1")


def messages(*parts: Any) -> dict[str, Any]:
    return {"messages": [Message("user", parts)]}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "openai:b"},
        {"instructions": "Be brief."},
        {"tools": ()},
        {"tools": (DICE, COIN)},
        {"options": Options(temperature=0.0)},
        {"options": Options(answer=JsonAnswer(schema={"type": "object"}))},
        {"options": Options(fallback_models=("openai:c",))},
        {"messages": [*BASE.messages, said("user", "?")]},
        {"messages": [*BASE.messages[:2], Message("user", (Text("How?"), Text("")))]},
        {"messages": [*BASE.messages[:2], Message("user", (Reasoning("How?"),))]},
        {
            "messages": [
                BASE.messages[0],
                replace(BASE.messages[1], kept={"a": 1}),
                BASE.messages[2],
            ]
        },
        messages(Image(file_id="1")),
        messages(Image(url="1")),
        messages(ToolCall(CallId("1"), "a", {"x": 1})),
        messages(ToolResult(CallId("1"), "a")),
        messages(ToolResult(CallId("1"), "a", is_error=True)),
    ],
    ids=str,
)
def test_what_may_change_the_answer_changes_the_key(changes: dict[str, Any]) -> None:
    keys = {response_key(replace(BASE, **it), "user:a") for it in (changes, {})}

    assert len(keys) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": 7},
        {"asker": ADA},
        {"options": Options(cache="user")},
        {"messages": tuple(BASE.messages)},
    ],
    ids=str,
)
def test_what_changes_no_answer_changes_no_key(changes: dict[str, Any]) -> None:
    assert response_key(replace(BASE, **changes), "user:a") == response_key(BASE, "user:a")


def test_a_question_of_a_run_is_known_by_its_place_whatever_it_says_by_now() -> None:
    one = replace(BASE, place="round 0")
    edited = replace(one, instructions="Be brief.", tools=(), **messages(Image(url="1")))

    assert question_key(edited) == question_key(one)
    assert len({question_key(replace(one, place=it)) for it in ("round 0", "round 1", "x")}) == 3


def test_the_order_in_which_an_object_was_written_is_nothing() -> None:
    one, other = (
        messages(ToolCall(CallId("1"), "f", {"a": 1, "b": {"c": 1, "d": 2}})),
        messages(ToolCall(CallId("1"), "f", {"b": {"d": 2, "c": 1}, "a": 1})),
    )

    assert response_key(replace(BASE, **one), "x") == response_key(replace(BASE, **other), "x")


def test_nobody_elses_answer_has_ones_own_key() -> None:
    other = Asker("user_b", "org_1", "assistant_1")
    outside = replace(ADA, org_id=None)
    owners = [owner_of("user", it) for it in (ADA, other, outside)]

    assert len({response_key(BASE, str(owner)) for owner in owners}) == 3
    assert owner_of("organisation", ADA) == owner_of("organisation", other) == "organisation:org_1"
    assert owner_of("organisation", outside) is None
    assert owner_of("assistant", ADA) == owner_of("assistant", outside) == "assistant:assistant_1"


def test_results_are_for_one_asker_and_vectors_for_one_model() -> None:
    asked = {"city": "Kiel"}
    others = [replace(ADA, user_id="b"), replace(ADA, org_id=None), replace(ADA, assistant_id="b")]
    results = {result_key("f", asked, it) for it in (ADA, *others)}

    assert len(results | {result_key("g", asked, ADA), result_key("f", {}, ADA)}) == 6
    assert len({embedding_key(*it) for it in (("m", "a"), ("m", "b"), ("n", "a"))}) == 3


def test_a_text_of_half_a_character_has_a_key_like_any_other() -> None:
    assert embedding_key("m", "\ud800") != embedding_key("m", "\ud801")
