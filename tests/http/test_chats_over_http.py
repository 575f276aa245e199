"""What the product is for, as a signed-in user of supabase-py does it."""

import pytest
from postgrest.exceptions import APIError
from supabase import Client

from tests.http.chats import answers, messages_of, rows, say, start_session, text_of
from tests.http.crew import Crew
from tests.support.stack import Stack

pytestmark = pytest.mark.usefixtures("crew")


def test_an_inserted_message_gets_one_stored_answer(crew: Crew, mine: Client, user: str) -> None:
    session = start_session(mine, "Hello")
    assert (session["user_id"], session["status"]) == (user, "active")
    asked = say(mine, session, "What is a lease?")
    answer = answers(mine, session, 1)[0]
    assert asked["content"] == [{"type": "text", "text": "What is a lease?"}]
    assert answer["parent_id"] == asked["id"]
    assert answer["status"] == "completed"
    assert text_of(answer)
    runs = rows(mine.table("runs").select("*").eq("session_id", session["id"]).execute())
    assert [(run["message_id"], run["status"]) for run in runs] == [(asked["id"], "completed")]
    # By this worker, and so in this way.
    assert runs[0]["id"] in [entry["run_id"] for entry in crew.worker.logged("run.claimed")]


def test_messages_sent_during_a_run_are_answered_in_order(mine: Client) -> None:
    session = start_session(mine)
    asked = [say(mine, session, f"number {n}") for n in range(3)]
    replies = answers(mine, session, 3)
    parent_of = {row["id"]: row["parent_id"] for row in messages_of(mine, session)}
    assert [parent_of[reply["id"]] for reply in replies] == [row["id"] for row in asked]
    assert [parent_of[row["id"]] for row in asked] == [None, replies[0]["id"], replies[1]["id"]]


def test_messages_of_a_session_are_paged_both_ways(mine: Client) -> None:
    session = start_session(mine)
    for n in range(4):
        say(mine, session, f"number {n}")
    answers(mine, session, 4)
    everything = [row["position"] for row in messages_of(mine, session)]
    page = mine.table("messages").select("position").eq("session_id", session["id"])
    newest = rows(page.order("position", desc=True).limit(3).execute())
    assert [row["position"] for row in newest] == everything[:-4:-1]
    page = mine.table("messages").select("position").eq("session_id", session["id"])
    older = page.lt("position", newest[-1]["position"]).order("position", desc=True).limit(3)
    assert [row["position"] for row in rows(older.execute())] == everything[-4:-7:-1]
    page = mine.table("messages").select("position").eq("session_id", session["id"])
    newer = page.gt("position", everything[1]).order("position").limit(3)
    assert [row["position"] for row in rows(newer.execute())] == everything[2:5]


def test_messages_are_found_by_words(mine: Client, theirs: Client) -> None:
    session = start_session(mine)
    said = say(mine, session, "The axolotl regrows its limbs")
    assert said["id"] in [
        row["id"] for row in rows(mine.rpc("search_messages", {"p_query": "axolotl"}).execute())
    ]
    assert rows(theirs.rpc("search_messages", {"p_query": "axolotl"}).execute()) == []


def test_sessions_are_listed_by_their_last_message(mine: Client) -> None:
    first, second, third = (start_session(mine, title) for title in ("a", "b", "c"))
    say(mine, first)
    query = mine.table("chat_sessions").select("id").order("last_message_at", desc=True)
    found = [row["id"] for row in rows(query.execute())]
    assert found == [first["id"], third["id"], second["id"]]


def test_an_archived_session_takes_no_message(mine: Client) -> None:
    session = start_session(mine)
    table = mine.table("chat_sessions")
    changed = rows(table.update({"status": "archived"}).eq("id", session["id"]).execute())
    assert changed[0]["status"] == "archived"
    with pytest.raises(APIError, match="the session is archived"):
        say(mine, session)


def test_a_deleted_session_takes_everything_along(mine: Client, stack: Stack) -> None:
    session = start_session(mine)
    say(mine, session)
    answers(mine, session, 1)
    mine.table("chat_sessions").delete().eq("id", session["id"]).execute()
    operator = stack.operator()
    for table in ("messages", "runs"):
        left = operator.table(table).select("id").eq("session_id", session["id"])
        assert rows(left.execute()) == []


def test_a_retry_with_the_same_client_id_is_one_message(mine: Client) -> None:
    session = start_session(mine)
    say(mine, session, "once", client_id="c1")
    with pytest.raises(APIError) as refused:
        say(mine, session, "once", client_id="c1")
    assert refused.value.code == "23505"
    again = {"session_id": session["id"], "content": "once", "client_id": "c1"}
    skipped = mine.table("messages").upsert(
        again, on_conflict="session_id,client_id", ignore_duplicates=True
    )
    assert rows(skipped.execute()) == []
    assert len(answers(mine, session, 1)) == 1
    assert len(messages_of(mine, session)) == 2


def test_a_cancelled_run_keeps_what_was_said(mine: Client) -> None:
    session = start_session(mine)
    say(mine, session, 'offline: {"deltas": 1000, "delay_ms": 20}')
    run = rows(mine.table("runs").select("*").eq("session_id", session["id"]).execute())[0]
    mine.rpc("cancel_run", {"p_run": run["id"]}).execute()
    answer = answers(mine, session, 1)[0]
    assert (answer["status"], answer["reason"]) == ("incomplete", "cancelled")


def test_a_regenerated_answer_is_a_new_branch(mine: Client) -> None:
    session = start_session(mine)
    asked = say(mine, session)
    answers(mine, session, 1)
    assert rows(mine.rpc("regenerate", {"p_message": asked["id"]}).execute())
    replies = answers(mine, session, 2)
    assert {row["parent_id"] for row in replies} == {asked["id"]}
