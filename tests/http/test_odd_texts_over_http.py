"""Texts that are JSON themselves: what a user writes is stored as text, never read."""

from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import Client

from tests.http.chats import Row, answers, rows, say, start_session

TEXTS = [
    "42",
    '"quoted"',
    "true",
    "null",
    "[1]",
    '{"a":1}',
    '[{"type":"text","text":"x"}]',
    " [1] ",
]


def as_parts(text: str) -> list[Row]:
    return [{"type": "text", "text": text}]


def stored(client: Client, message: Row) -> Any:
    query = client.table("messages").select("content").eq("id", message["id"])
    return rows(query.execute())[0]["content"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_is_one_text_part_whatever_it_says(mine: Client, text: str) -> None:
    said = say(mine, start_session(mine), text)

    assert (said["content"], stored(mine, said)) == (as_parts(text), as_parts(text))


@pytest.mark.usefixtures("crew")
def test_an_edited_message_is_one_text_part_whatever_it_says(mine: Client) -> None:
    session = start_session(mine)
    said = say(mine, session)
    answers(mine, session, 1)

    def edited(text: str) -> Any:
        mine.table("messages").update({"content": text}).eq("id", said["id"]).execute()
        return stored(mine, said)

    assert [edited(text) for text in TEXTS] == [as_parts(text) for text in TEXTS]


def test_messages_of_one_request_are_text_parts(mine: Client) -> None:
    session = start_session(mine)
    sent = [{"session_id": session["id"], "content": text} for text in TEXTS]

    said = rows(mine.table("messages").insert(sent).execute())

    assert [row["content"] for row in said] == [as_parts(text) for text in TEXTS]


@pytest.mark.parametrize("text", TEXTS)
def test_a_retried_message_is_one_text_part_whatever_it_says(mine: Client, text: str) -> None:
    session = start_session(mine)
    sent = {"session_id": session["id"], "content": text, "client_id": "c1"}
    table = mine.table("messages")

    def send() -> list[Row]:
        conflict = "session_id,client_id"
        return rows(table.upsert(sent, on_conflict=conflict, ignore_duplicates=True).execute())

    [said] = send()

    assert send() == []
    assert stored(mine, said) == as_parts(text)


def test_parts_stay_parts(mine: Client) -> None:
    parts = [{"type": "text", "text": "42"}, {"type": "text", "text": "[1]"}]

    assert say(mine, start_session(mine), parts)["content"] == parts


@pytest.mark.parametrize("content", [42, True, {"type": "text", "text": "x"}, None])
def test_what_is_neither_text_nor_parts_is_refused(mine: Client, content: Any) -> None:
    with pytest.raises(APIError) as refused:
        say(mine, start_session(mine), content)

    assert refused.value.code == "23514"


def test_text_that_is_an_object_is_no_metadata(mine: Client) -> None:
    session = start_session(mine, metadata={"text": '{"a":1}'})
    assert session["metadata"] == {"text": '{"a":1}'}

    with pytest.raises(APIError) as refused:
        start_session(mine, metadata='{"a":1}')

    assert refused.value.code == "23514"
