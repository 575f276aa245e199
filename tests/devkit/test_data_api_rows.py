"""What the local Data API makes of rows and errors: the same as PostgREST does."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.devkit.exchange import ask, run_sql, user_token, wait_until_known
from tests.support.stack import Stack

NOTES = "/rest/v1/notes"
RETURN = {"Prefer": "return=representation"}


def write(stack: Stack, **note: Any) -> Any:
    token = user_token(stack)
    answer = ask(stack, "POST", NOTES, token=token, json={"body": "a note", **note}, headers=RETURN)
    assert answer.status_code == 201, answer.text
    return answer


def read(stack: Stack, columns_and_values: str) -> Any:
    insert = f"insert into public.notes (owner, body, {columns_and_values} returning id"
    [note] = run_sql(stack, insert)
    headers = {"Accept": "application/vnd.pgrst.object+json"}
    return ask(
        stack, "GET", f"{NOTES}?id=eq.{note['id']}", token=user_token(stack), headers=headers
    )


def refuse(stack: Stack, state: str, message: str, detail: str | None = None) -> Any:
    body = {"p_state": state, "p_message": message, "p_detail": detail}
    return ask(stack, "POST", "/rest/v1/rpc/refuse", token=user_token(stack), json=body)


def test_a_time_is_written_as_iso_8601(stack: Stack) -> None:
    assert write(stack).json()[0]["made_at"] == "2026-11-21T00:09:31.5+00:00"


@pytest.mark.parametrize("digits", ["1.5", "0.1", "12345678901234567890.123456789", "-3"])
def test_a_numeric_that_is_read_keeps_its_digits(stack: Stack, digits: str) -> None:
    answer = read(stack, f"price) values ('user_ada', 'a note', {digits})")

    assert json.loads(answer.text, parse_float=str, parse_int=str)["price"] == digits


def test_a_bigint_that_is_read_keeps_its_digits(stack: Stack) -> None:
    answer = read(stack, "big) values ('user_ada', 'a note', 9007199254740993)")

    assert answer.json()["big"] == 9007199254740993


def test_bytes_are_written_as_hexadecimal_text(stack: Stack) -> None:
    assert write(stack, raw="\\x00ff").json()[0]["raw"] == "\\x00ff"


def test_an_array_may_hold_nothing_and_odd_texts(stack: Stack) -> None:
    tags = ["plain", None, "NULL", 'a "quote", a comma', "{brace}", "back\\slash", ""]

    assert write(stack, tags=tags).json()[0]["tags"] == tags


@pytest.mark.parametrize("near", [[0.5, 1], "[0.5,1]"])
def test_a_vector_may_be_a_list_or_a_text(stack: Stack, near: object) -> None:
    assert write(stack, near=near).json()[0]["near"] == "[0.5,1]"


def test_json_comes_back_as_it_was_sent(stack: Stack) -> None:
    extra = {"list": [1, 2.5, None, {"deep": "ü 😀"}], "empty": {}}

    assert write(stack, extra=extra).json()[0]["extra"] == extra


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([{"a": 1}], "array"),
        ({"a": 1}, "object"),
        ("[1]", "string"),
        (5, "number"),
        (True, "boolean"),
    ],
)
def test_a_function_is_given_json_and_not_its_text(stack: Stack, value: Any, kind: str) -> None:
    body = {"p_value": value}

    answer = ask(stack, "POST", "/rest/v1/rpc/kind", token=user_token(stack), json=body)

    assert answer.json() == kind


def test_the_database_sees_the_request(stack: Stack) -> None:
    headers = {"X-Probe": "here"}
    seen = ask(stack, "GET", "/rest/v1/rpc/seen", token=user_token(stack), headers=headers).json()

    assert (seen["agent"], seen["method"], seen["timeout"]) == ("here", "GET", "8s")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("P0001", 400),
        ("23514", 400),
        ("23505", 409),
        ("42501", 403),
        ("57014", 500),
        ("40001", 500),
    ],
)
def test_an_error_has_postgrests_status_and_body(stack: Stack, state: str, status: int) -> None:
    answer = refuse(stack, state, "no", "because")

    assert answer.status_code == status
    assert answer.json() == {"code": state, "message": "no", "details": "because", "hint": None}


def test_a_function_chooses_its_status(stack: Stack) -> None:
    answer = refuse(stack, "PT409", "the session is archived")

    assert (answer.status_code, answer.json()["message"]) == (409, "the session is archived")


def test_a_function_chooses_its_status_and_headers(stack: Stack) -> None:
    message = json.dumps({"code": "rate_limited", "message": "slow down"})
    detail = json.dumps({"status": 429, "headers": {"Retry-After": "7"}})

    answer = refuse(stack, "PGRST", message, detail)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["code"] == "rate_limited"


def test_a_violated_check_is_a_bad_request(stack: Stack) -> None:
    answer = ask(stack, "POST", NOTES, token=user_token(stack), json={"body": "forbidden"})

    assert (answer.status_code, answer.json()["code"]) == (400, "23514")


def test_a_column_that_was_not_granted_cannot_be_written(stack: Stack) -> None:
    note = {"body": "mine", "owner": "user_bob"}

    answer = ask(stack, "POST", NOTES, token=user_token(stack), json=note)

    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def test_a_get_writes_nothing(stack: Stack) -> None:
    run_sql(
        stack,
        "create sequence public.counter; grant usage on public.counter to anon;"
        "create view public.counted as select nextval('public.counter');"
        "grant select on public.counted to anon",
    )
    wait_until_known(stack, "counted")

    answer = ask(stack, "GET", "/rest/v1/counted")

    assert (answer.status_code, answer.json()["code"]) == (405, "25006")


def test_a_roles_time_limit_holds(stack: Stack) -> None:
    run_sql(stack, "alter role anon set statement_timeout = '50ms'; notify pgrst, 'reload config'")
    deadline = time.monotonic() + 10
    while ask(stack, "GET", "/rest/v1/rpc/seen").json()["timeout"] != "50ms":
        assert time.monotonic() < deadline
        time.sleep(0.02)

    answer = ask(stack, "POST", "/rest/v1/rpc/sleep", json={"p_seconds": 5})

    assert (answer.status_code, answer.json()["code"]) == (500, "57014")


def test_a_new_table_a_new_column_and_a_new_type_are_seen(stack: Stack) -> None:
    run_sql(
        stack,
        "create type public.mood as enum ('calm', 'odd');"
        "create table public.moods (id int primary key, moods public.mood[]);"
        "grant select on public.moods to anon;"
        "insert into public.moods values (1, '{calm,odd}')",
    )
    wait_until_known(stack, "moods")

    assert ask(stack, "GET", "/rest/v1/moods").json() == [{"id": 1, "moods": ["calm", "odd"]}]


def test_requests_at_the_same_time_never_mix_up_their_callers(stack: Stack) -> None:
    users = [f"user_{number}" for number in range(16)]
    tokens = {user: user_token(stack, user) for user in users}

    def who(user: str) -> bool:
        seen = ask(stack, "POST", "/rest/v1/rpc/seen", token=tokens[user]).json()
        return bool(seen["claims"]["sub"] == user)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(who, users * 12))


def test_nothing_that_a_user_wrote_stands_in_a_log(stack: Stack) -> None:
    secret = "quite-a-secret-text"
    ask(stack, "POST", NOTES, token=user_token(stack), json={"body": "forbidden", "tags": [secret]})
    refuse(stack, "P0001", secret, secret)
    refuse(stack, "XX000", secret, secret)

    logs = [path.read_text() for path in (stack.data / "logs").iterdir()]

    assert not any(secret in log or user_token(stack).split(".")[0] in log for log in logs)
