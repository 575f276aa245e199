"""Whatever a model says can be stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.integrations.supabase import jsonb

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)


def test_a_value_comes_back_as_it_was() -> None:
    value = {"text": 'é "quoted" \\u0000 \n 😀', "list": [1, 2.5, None, True]}
    assert jsonb.decode(jsonb.encode(value)) == value


def test_what_jsonb_cannot_hold_is_replaced() -> None:
    found = jsonb.decode(
        jsonb.encode({"nul": "a\x00b", "lone": "a\ud800b", "pair": "\ud83d\ude00"})
    )
    assert found == {"nul": "a\ufffdb", "lone": "a\ufffdb", "pair": "😀"}


@given(VALUES)
def test_every_value_becomes_one_that_jsonb_can_hold(value: Any) -> None:
    encoded = jsonb.encode(value)
    encoded[1:].decode("utf-8")
    assert "\x00" not in str(jsonb.decode(encoded))


@pytest.mark.parametrize("hostile", ["[" * 300 + "]" * 300, "1" * 5000], ids=["deep", "long"])
def test_a_value_that_cannot_be_read_costs_its_own_object_and_no_other(hostile: str) -> None:
    text = f'[{{"id": 1, "history": {{"said": [{hostile}]}}}}, {{"id": 2, "history": {{"said": "]"}}}}]'
    found = jsonb.decode(b"\x01" + text.encode())
    assert found == [{"id": 1, "history": None}, {"id": 2, "history": {"said": "]"}}]


def test_numbers_that_are_none_are_stored_as_null() -> None:
    assert jsonb.decode(jsonb.encode([float("inf"), float("nan")])) == [None, None]
