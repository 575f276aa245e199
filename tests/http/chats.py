"""What a browser does, in supabase-py."""

import time
from typing import Any, TypeAlias

from supabase import Client

Row: TypeAlias = dict[str, Any]


def rows(answer: Any) -> list[Row]:
    """Return the rows of an answer, typed."""
    found: list[Row] = answer.data
    return found


def start_session(client: Client, title: str = "A chat", **more: Any) -> Row:
    return rows(client.table("chat_sessions").insert({"title": title, **more}).execute())[0]


def say(client: Client, session: Row, content: Any = "Hello", **more: Any) -> Row:
    sent = {"session_id": session["id"], "content": content, **more}
    return rows(client.table("messages").insert(sent).execute())[0]


def messages_of(client: Client, session: Row) -> list[Row]:
    query = client.table("messages").select("*").eq("session_id", session["id"])
    return rows(query.order("position").execute())


def answers(client: Client, session: Row, count: int, *, within_s: float = 20) -> list[Row]:
    """Return the session's replies once there are `count` of them."""
    deadline = time.monotonic() + within_s
    while True:
        found = [row for row in messages_of(client, session) if row["role"] == "assistant"]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {count} replies after {within_s} s"
        time.sleep(0.02)


def text_of(row: Row) -> str:
    return "".join(part["text"] for part in row["content"] if part["type"] == "text")
