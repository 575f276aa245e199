"""What the local Data API makes of JSON: each value is stored as PostgREST has PostgreSQL read it."""

import json
from typing import Any

import pytest

from tests.devkit.exchange import ask, run_sql, user_token, wait_until_known
from tests.support.stack import Stack

NOTES = "/rest/v1/notes"
RETURN = {"Prefer": "return=representation"}
VALUES: list[Any] = [
    "plain",
    "",
    " ",
    "42",
    "1.50",
    '"quoted"',
    "true",
    "null",
    "[1]",
    '{"a":1}',
    " [1] ",
    "back\\slash",
    "ü 😀",
    42,
    1.5,
    True,
    False,
    None,
    [],
    {},
    [True],
    ["1", None, [2]],
    {"text": "42", "none": None},
]


@pytest.fixture(scope="module")
def drawers(stack: Stack) -> None:
    """Make a table that takes an upsert."""
    run_sql(
        stack,
        "create table public.drawers (name text primary key, extra jsonb);"
        "grant select, insert, update on public.drawers to authenticated",
    )
    wait_until_known(stack, "drawers")


def as_postgrest_stores(stack: Stack, value: Any) -> tuple[Any, ...]:
    """Return kind and text of the value that json_to_recordset makes for a jsonb column."""
    rows = json.dumps([{"extra": value}]).replace("'", "''")
    read = f"json_to_recordset('{rows}') as r(extra jsonb)"
    return tuple(run_sql(stack, f"select jsonb_typeof(extra), extra::text from {read}")[0])


def as_stored(stack: Stack, answer: Any) -> tuple[Any, ...]:
    """Return kind and text of what the answer's one note holds."""
    [note] = answer.json()
    query = "select jsonb_typeof(extra), extra::text from public.notes where id = "
    return tuple(run_sql(stack, f"{query}{note['id']}")[0])


def post(stack: Stack, body: Any) -> Any:
    answer = ask(stack, "POST", NOTES, token=user_token(stack), json=body, headers=RETURN)
    assert answer.status_code == 201, answer.text
    return answer


@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
def test_an_inserted_value_is_stored_as_it_is(stack: Stack, value: Any) -> None:
    answer = post(stack, {"body": "a note", "extra": value})

    assert as_stored(stack, answer) == as_postgrest_stores(stack, value)
    assert answer.json()[0]["extra"] == value


@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
def test_a_changed_value_is_stored_as_it_is(stack: Stack, value: Any) -> None:
    [note] = post(stack, {"body": "a note", "extra": {"before": True}}).json()
    where = f"{NOTES}?id=eq.{note['id']}"
    change = {"extra": value}

    answer = ask(stack, "PATCH", where, token=user_token(stack), json=change, headers=RETURN)

    assert answer.status_code == 200, answer.text
    assert as_stored(stack, answer) == as_postgrest_stores(stack, value)


def test_many_rows_keep_their_values(stack: Stack) -> None:
    answer = post(stack, [{"body": "a note", "extra": value} for value in VALUES])

    assert [note["extra"] for note in answer.json()] == VALUES


@pytest.mark.usefixtures("drawers")
@pytest.mark.parametrize(
    "value", ["42", '"quoted"', '{"a":1}', [True], False, None], ids=json.dumps
)
def test_an_upserted_value_is_stored_as_it_is(stack: Stack, value: Any) -> None:
    merging = {"Prefer": "resolution=merge-duplicates,return=representation"}
    for sent in ({"before": True}, value):
        body = {"name": "top", "extra": sent}
        token = user_token(stack)
        answer = ask(stack, "POST", "/rest/v1/drawers", token=token, json=body, headers=merging)
        assert answer.json() == [body], answer.text

    query = "select jsonb_typeof(extra), extra::text from public.drawers"
    assert tuple(run_sql(stack, query)[0]) == as_postgrest_stores(stack, value)


def test_a_text_column_takes_text_that_is_json(stack: Stack) -> None:
    texts = ['{"a":1}', "[1]", "42", '"quoted"', "null"]

    answer = post(stack, [{"body": text, "tags": [text]} for text in texts])

    assert [(note["body"], note["tags"]) for note in answer.json()] == [
        (text, [text]) for text in texts
    ]


def test_a_cell_of_csv_is_text(stack: Stack) -> None:
    headers = {**RETURN, "Content-Type": "text/csv"}
    sheet = 'body,extra\na note,42\na note,"{""a"":1}"\n'

    answer = ask(stack, "POST", NOTES, token=user_token(stack), content=sheet, headers=headers)

    assert [note["extra"] for note in answer.json()] == ["42", '{"a":1}']
