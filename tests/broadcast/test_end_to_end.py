"""From the insert of a message to what Realtime is asked to send, with a real database and worker."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from supabase import Client

from tests.broadcast.live import Live
from tests.support.stream_reader import ENDINGS


def script(**keys: Any) -> str:
    return f"offline: {json.dumps(keys)}"


@pytest.fixture
def client(live: Live) -> Client:
    return live.stack.signed_in(f"user_{uuid4().hex}")


@pytest.fixture
def ask(live: Live, client: Client) -> Callable[..., dict[str, Any]]:
    """Return a function that asks in a new session and waits for the answers."""

    def asked(*texts: str) -> dict[str, Any]:
        session: Any = client.table("chat_sessions").insert({"title": "A chat"}).execute().data[0]
        for text in texts:
            row = {"session_id": session["id"], "content": text}
            client.table("messages").insert(row).execute()
        _until(lambda: _endings(_sent(live, session)) >= len(texts))
        return dict(session)

    # Whatever an earlier test did to Realtime is over once this was taken.
    live.stand_in.faults.posts = []
    asked("hello")
    return asked


def test_what_is_sent_is_the_stream_in_order_and_once(
    live: Live, client: Client, ask: Callable[..., dict[str, Any]]
) -> None:
    said = [
        script(deltas=30, delay_ms=20, text="über 😀 "),
        "hello",
        script(fault={"kind": "fatal"}),
    ]
    session = ask(*said)

    sent = [event for payload in _sent(live, session) for event in payload["events"]]

    stream = _stream(client, session)
    assert sent == stream
    kinds = [event["type"] for event in sent]
    assert kinds.count("run.started") == 3
    assert kinds[-1] == "run.failed"


def test_a_long_answer_is_about_ten_messages_a_second(
    live: Live, ask: Callable[..., dict[str, Any]]
) -> None:
    session = ask(script(deltas=200, delay_ms=10))

    assert 10 <= len(_sent(live, session)) <= 35


def test_every_message_is_private_and_for_one_session(
    live: Live, ask: Callable[..., dict[str, Any]]
) -> None:
    ask("hello")

    for headers, messages in live.stand_in.posted:
        assert headers["apikey"] == live.stack.facts["secret_key"]
        assert all(message["private"] is True for message in messages)
        assert all(message["topic"].startswith("session:") for message in messages)


@pytest.mark.parametrize("statuses", [[500], [503, 503]])
def test_a_realtime_that_ails_delays_the_end_and_loses_no_event(
    live: Live, client: Client, ask: Callable[..., dict[str, Any]], statuses: list[int]
) -> None:
    live.stand_in.faults.posts = statuses
    session = ask(script(deltas=10, delay_ms=20))

    sent = {(it["run_id"], it["seq"]) for p in _sent(live, session) for it in p["events"]}

    assert sent == {(it["run_id"], it["seq"]) for it in _stream(client, session)}


def test_the_log_names_no_session_no_word_and_no_key(
    live: Live, ask: Callable[..., dict[str, Any]]
) -> None:
    live.stand_in.faults.posts = [500]
    session = ask(script(deltas=5, delay_ms=20, text="secret word "))

    log = live.worker.log_text()
    assert [entry["status"] for entry in live.worker.logged("broadcast.failed")][-1] == 500
    assert live.worker.logged("broadcast.resumed")
    for secret in (session["id"], "secret word", live.stack.facts["secret_key"]):
        assert secret not in log


def _endings(payloads: list[Any]) -> int:
    return len({it["run_id"] for p in payloads for it in p["events"] if it["type"] in ENDINGS})


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _sent(live: Live, session: dict[str, Any]) -> list[Any]:
    topic = f"session:{session['id']}"
    posted = [message for _, messages in live.stand_in.posted for message in messages]
    return [message["payload"] for message in posted if message["topic"] == topic]


def _stream(client: Client, session: dict[str, Any]) -> list[Any]:
    runs: Any = client.table("runs").select("id").eq("session_id", session["id"])
    first = runs.order("queued_no").limit(1).execute().data[0]["id"]
    arguments = {"p_session_id": session["id"], "p_last_event_id": f"{first}:0"}
    read: Any = client.rpc("read_stream", arguments).execute()
    return list(read.data["events"])
