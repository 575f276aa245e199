"""What the database stores of an output, against the database's own rules."""

import datetime as dt
import decimal
import json
import math
from bisect import bisect
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.tools.outputs import MAX_BYTES, MAX_DEPTH, Unusable, plain
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import driven, examples


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_plain_json_stays_what_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "ü😀"], "b": {"c": ""}}
    assert plain(value) == value


def test_what_a_function_returns_may_be_more_than_json() -> None:
    @dataclass
    class Found:
        day: dt.date
        price: decimal.Decimal

    found = Found(dt.date(2026, 11, 21), decimal.Decimal("1.20"))
    assert plain([found, {1}, (1,)]) == [{"day": "2026-11-21", "price": "1.20"}, [1], [1]]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, 1e301, 5e-324])
def test_a_number_that_the_database_does_not_hold_is_null(number: float) -> None:
    assert plain({"n": number}) == {"n": None}


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_characters_that_jsonb_refuses_are_replaced(text: str) -> None:
    assert plain({text: text}) == {"a\ufffdb": "a\ufffdb"}


@pytest.mark.parametrize(
    "value",
    [
        "x" * (MAX_BYTES + 1),
        ["x"] * MAX_BYTES,
        {str(it): it for it in range(MAX_BYTES // 8)},
        [1e300] * 1000,
        [10**300] * 1000,
        "\n" * (MAX_BYTES // 2 + 1),
        nested(MAX_DEPTH + 1),
        nested(100_000),
        object(),
        b"\xff",
        {"of": {object(): 1}},
    ],
    ids=lambda it: type(it).__name__,
)
def test_too_much_and_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(Unusable):
        plain(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Unusable):
        plain(loop)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(VALUES)
@settings(deadline=None)
def test_whatever_is_plain_is_json_that_reads_back_as_itself(value: Any) -> None:
    made = plain(value)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    json.dumps(made, ensure_ascii=False).encode()


def test_the_database_stores_whatever_is_plain(database: Database) -> None:
    with driven(database) as (chat, run):

        @examples(100)
        @given(VALUES)
        def holds(value: Any) -> None:
            fits = "select engine.fits($1::jsonb, $2)"
            assert run(chat.admin.fetchval(fits, [plain(value)], MAX_BYTES))

        holds()


@pytest.mark.parametrize("unit", ["\n", "ü", 1e300, 1.5, 12345, {"a": None}, True, [], {}])
async def test_the_size_is_never_less_than_what_the_database_writes(chat: Chat, unit: Any) -> None:
    most = bisect(range(MAX_BYTES), 0, key=lambda many: not is_plain([unit] * many)) - 1
    fits = "select engine.fits($1::jsonb, $2)"
    assert await chat.admin.fetchval(fits, [unit] * most, MAX_BYTES)


def is_plain(value: Any) -> bool:
    try:
        plain(value)
    except Unusable:
        return False
    return True
