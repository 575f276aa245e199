"""Over a limit: 429 with `Retry-After`, as every client of the Data API is told, and to one user."""

import json
from pathlib import Path

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import Client

from tests.http.chats import rows, say, start_session
from tests.support.node import node_tests
from tests.support.stack import Stack

SCRIPT = Path(__file__).with_name("admission.test.mjs")
# What a project has as long as its operator decides nothing else.
SESSIONS_PER_DAY = 500
OPEN_RUNS = 20


@pytest.fixture
def without_places(mine: Client) -> Client:
    """Return `mine`, who has started as many sessions as one may in a day."""
    started = mine.table("chat_sessions").insert([{"title": "Many"}] * SESSIONS_PER_DAY).execute()
    assert len(rows(started)) == SESSIONS_PER_DAY
    return mine


def test_supabase_py_is_told_which_limit_and_when_to_come_back(
    without_places: Client, theirs: Client
) -> None:
    with pytest.raises(APIError) as raised:
        start_session(without_places)

    details = json.loads(raised.value.details or "")
    assert raised.value.code == "PT429"
    assert details["limit"] == "user_sessions_per_day"
    # One of 500 places is free again after 172.8 s.
    assert 1 <= details["retry_after_s"] <= 173
    assert raised.value.message == (
        "Too many sessions: the limit is 500 a day per user."
        f" Try again in {details['retry_after_s']} s."
    )
    assert raised.value.hint == "Nothing was stored: wait, then send the same again."
    assert start_session(theirs)


@pytest.mark.usefixtures("without_places")
def test_the_answer_is_429_with_the_header_in_seconds(stack: Stack, user: str) -> None:
    headers = {
        "apikey": stack.facts["publishable_key"],
        "Authorization": f"Bearer {stack.token(user)}",
    }
    url = f"{stack.facts['supabase_url']}/rest/v1/chat_sessions"

    answer = httpx.post(url, headers=headers, json={"title": "One more"})

    assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    told = json.loads(answer.json()["details"])["retry_after_s"]
    assert answer.headers["retry-after"] == str(told)


@pytest.mark.usefixtures("without_places")
def test_supabase_js_is_told_the_same(stack: Stack, user: str) -> None:
    node_tests(
        SCRIPT,
        url=stack.facts["supabase_url"],
        key=stack.facts["publishable_key"],
        mine=stack.token(user),
    )


def test_more_than_will_ever_be_admitted_at_once_is_refused_for_good(mine: Client) -> None:
    session = start_session(mine)
    sent = [{"session_id": session["id"], "content": "Hello"}] * (OPEN_RUNS + 1)

    with pytest.raises(APIError, match="the limit is 20 at a time per user") as raised:
        mine.table("messages").insert(sent).execute()

    assert raised.value.code == "23514"
    assert say(mine, session)
