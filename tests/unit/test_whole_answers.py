"""What a function of the database says in place of PostgREST is read, whatever it is."""

import json

import pytest
from asyncpg.exceptions import PostgresError
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import AssistantsError, DatabaseRejected, TooManyRequests
from backend.integrations.supabase import whole_answers
from backend.integrations.supabase.sqlstates import translate

SAID = json.dumps({"code": "PT429", "message": "Too many messages."})
ANSWER = json.dumps({"status": 429, "headers": {"Retry-After": "12"}})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ANSWERS = st.fixed_dictionaries(
    {}, optional={"code": JSON, "message": JSON, "status": JSON, "headers": JSON}
).map(json.dumps)
TEXTS = st.one_of(st.none(), st.text(), st.just("[" * 100_000), st.just("9" * 5000), ANSWERS)


def raised(message: str | None, detail: str | None) -> AssistantsError:
    error = PostgresError.new(
        {key: text for key, text in {"C": "PGRST", "M": message, "D": detail}.items() if text}
    )
    return translate(error, doing="engine.trial")


def test_too_many_requests_come_with_their_message_and_their_time() -> None:
    error = raised(SAID, ANSWER)

    assert isinstance(error, TooManyRequests)
    assert (str(error), error.retry_after_s, error.http_status) == ("Too many messages.", 12, 429)


@given(TEXTS, TEXTS)
def test_whatever_stands_there_is_an_error_of_ours(message: str | None, detail: str | None) -> None:
    assert isinstance(raised(message, detail), AssistantsError)


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        (None, ANSWER),
        (SAID, None),
        ("{", ANSWER),
        (SAID, "null"),
        ('{"code": 429, "message": "m"}', ANSWER),
        ('{"code": "PT429"}', ANSWER),
        (SAID, '{"status": 429}'),
        (SAID, '{"status": "429", "headers": {}}'),
        (SAID, '{"status": true, "headers": {}}'),
        (SAID, '{"status": 429, "headers": []}'),
    ],
)
def test_what_postgrest_could_not_answer_with_is_no_refusal(
    message: str | None, detail: str | None
) -> None:
    error = raised(message, detail)

    assert isinstance(error, DatabaseRejected)
    assert error.sqlstate == "PGRST"


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("1", 1),
        ("86400", 86400),
        ("0", 1),
        ("-5", 1),
        ("9" * 400, 86400),
        ("1e3", 1),
        ("٣", 1),
        ("Fri, 31 Dec 2027 23:59:59 GMT", 1),
        ("", 1),
        (None, 1),
        (12, 1),
    ],
)
def test_a_time_to_come_back_lies_between_a_second_and_a_day(header: object, wait_s: float) -> None:
    assert whole_answers.wait_s(header) == wait_s


def test_a_header_is_found_in_any_case_and_a_long_message_is_cut() -> None:
    said = json.dumps({"code": "PT429", "message": "m" * 10_000})
    answer = json.dumps({"status": 429, "headers": {"retry-AFTER": "7"}})

    error = raised(said, answer)

    assert isinstance(error, TooManyRequests)
    assert (error.retry_after_s, len(str(error))) == (7, 300)
