"""The wall as it stands in front of supabase-py: every attempt ends in a refusal or in nothing."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import Client

from tests.http.chats import answers, rows, say, start_session
from tests.support.stack import Stack

TABLES = ("assistants", "chat_sessions", "messages", "runs", "shared_assistants")


def refusal(attempt: Any) -> tuple[str | None, str | None]:
    """Return code and message of the refusal that the attempt must meet."""
    with pytest.raises(APIError) as refused:
        attempt.execute()
    return refused.value.code, refused.value.message


@pytest.mark.parametrize("table", TABLES)
def test_anonymous_reads_are_refused(stack: Stack, table: str) -> None:
    assert refusal(stack.client().table(table).select("*"))[0] == "42501"


@pytest.mark.usefixtures("crew")
@pytest.mark.parametrize("table", ["chat_sessions", "messages", "runs"])
def test_another_user_sees_no_row(mine: Client, theirs: Client, table: str) -> None:
    session = start_session(mine)
    say(mine, session)
    answers(mine, session, 1)
    assert rows(mine.table(table).select("*").execute())
    seen = theirs.table(table).select("*", count="exact").execute()  # type: ignore[arg-type]
    assert (seen.data, seen.count) == ([], 0)


def test_another_user_changes_and_deletes_nothing(mine: Client, theirs: Client) -> None:
    session = start_session(mine, "before")
    said = say(mine, session)
    for table, row, change in (
        ("chat_sessions", session, {"title": "after"}),
        ("messages", said, {"metadata": {"read": True}}),
    ):
        assert rows(theirs.table(table).update(change).eq("id", row["id"]).execute()) == []
        assert rows(theirs.table(table).delete().eq("id", row["id"]).execute()) == []
        assert rows(mine.table(table).select("id").eq("id", row["id"]).execute())


def test_a_foreign_and_a_missing_session_look_alike(mine: Client, theirs: Client) -> None:
    session = start_session(mine)
    missing = {"session_id": str(uuid4()), "content": "let me in"}
    foreign = {**missing, "session_id": session["id"]}
    table = theirs.table("messages")
    assert refusal(table.insert(foreign)) == refusal(table.insert(missing))
    assert refusal(table.insert(foreign))[0] == "42501"


@pytest.mark.parametrize("call", ["cancel_run", "regenerate", "submit_tool_outputs"])
def test_a_foreign_and_a_missing_run_look_alike(mine: Client, theirs: Client, call: str) -> None:
    session = start_session(mine)
    said = say(mine, session)
    run = rows(mine.table("runs").select("id").eq("session_id", session["id"]).execute())[0]
    name = "p_message" if call == "regenerate" else "p_run"
    more: dict[str, Any] = {"p_outputs": []} if call == "submit_tool_outputs" else {}
    foreign = {name: said["id"] if call == "regenerate" else run["id"], **more}
    assert refusal(theirs.rpc(call, foreign)) == refusal(
        theirs.rpc(call, {name: str(uuid4()), **more})
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "00000000-0000-4000-8000-000000000002"),
        ("user_id", "user_other"),
        ("org_id", "org_other"),
        ("role", "assistant"),
        ("position", 1),
        ("status", "incomplete"),
        ("run_id", "00000000-0000-4000-8000-000000000002"),
        ("starts_run", False),
        ("created_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_a_browser_does_not_choose(mine: Client, column: str, value: Any) -> None:
    session = start_session(mine)
    with pytest.raises(APIError) as refused:
        say(mine, session, **{column: value})
    assert refused.value.code == "42501"


def test_the_engine_is_not_served(stack: Stack, user: str) -> None:
    answer = httpx.get(
        f"{stack.facts['supabase_url']}/rest/v1/runs",
        headers={
            "apikey": stack.facts["publishable_key"],
            "Authorization": f"Bearer {stack.token(user)}",
            "Accept-Profile": "engine",
        },
    )
    assert answer.status_code == 406
    assert answer.json()["code"] == "PGRST106"


def test_embedding_shows_own_rows_only(mine: Client, theirs: Client) -> None:
    session = start_session(mine)
    say(mine, session)
    embedded = "id, messages(content)"
    assert rows(mine.table("chat_sessions").select(embedded).execute())[0]["messages"]
    assert rows(theirs.table("chat_sessions").select(embedded).execute()) == []


def test_a_token_without_a_user_opens_nothing(stack: Stack, mine: Client) -> None:
    start_session(mine)
    key = stack.facts["publishable_key"]
    for token in ("nonsense", "a.b.c", key):
        answer = httpx.get(
            f"{stack.facts['supabase_url']}/rest/v1/chat_sessions",
            headers={"apikey": key, "Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in {400, 401}, token
        assert "messages" not in answer.text
