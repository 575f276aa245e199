"""What must hold of every database in which all runs have ended, whatever happened before."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

TERMINAL = {"run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"}


async def assert_sound(admin: Any) -> None:
    """Every message has one answer, in order, on one path; every stream is whole.

    For sessions in which users only inserted messages without naming a parent.

    Args:
        admin: A connection that reads everything.
    """
    runs = await admin.fetch("select * from engine.runs order by session_id, queued_no")
    messages = await admin.fetch("select * from public.messages order by session_id, position")
    events = await admin.fetch("select * from engine.events order by run_id, seq")
    heads = {
        row["id"]: row["head_id"]
        for row in await admin.fetch("select id, head_id from public.chat_sessions")
    }
    _one_run_a_message(runs, messages)
    _one_outcome_a_run(runs, messages)
    _turns_do_not_overlap(runs)
    for session, head in heads.items():
        _one_path([row for row in messages if row["session_id"] == session], runs, head)
    _streams_are_whole(runs, messages, events)


async def assert_all_ended(admin: Any) -> None:
    """No run is open."""
    open_ = await admin.fetchval("select count(*) from engine.runs where ended_at is null")
    assert open_ == 0, f"{open_} runs have not ended"


def _one_run_a_message(runs: list[Any], messages: list[Any]) -> None:
    asked = [row["id"] for row in messages if row["role"] == "user" and row["starts_run"]]
    answered = [run["message_id"] for run in runs if run["origin"] == "insert"]
    assert sorted(asked) == sorted(answered), "a message has no run, or several"


def _one_outcome_a_run(runs: list[Any], messages: list[Any]) -> None:
    outcomes: dict[Any, int] = defaultdict(int)
    for row in messages:
        if row["run_id"] is not None and row["ordinal"] is None:
            outcomes[row["run_id"]] += 1
    for run in runs:
        assert run["ended_at"] is not None, f"run {run['id']} is {run['status']}"
        assert outcomes[run["id"]] == 1, f"run {run['id']} has {outcomes[run['id']]} outcomes"


def _turns_do_not_overlap(runs: list[Any]) -> None:
    for run, following in pairwise(runs):
        if run["session_id"] == following["session_id"] and following["started_at"] is not None:
            assert run["ended_at"] <= following["started_at"], "two runs of a session were live"


def _one_path(messages: list[Any], runs: list[Any], head: Any) -> None:
    by_message = {run["message_id"]: run["id"] for run in runs}
    said: dict[Any, list[Any]] = defaultdict(list)
    for row in messages:
        if row["role"] == "assistant":
            said[row["run_id"]].append(row)
    expected: list[Any] = []
    for row in messages:
        if row["role"] == "user":
            answers = sorted(
                said[by_message[row["id"]]], key=lambda it: (it["ordinal"] is None, it["ordinal"])
            )
            expected += [row["id"], *(answer["id"] for answer in answers)]
    assert _path(messages, head) == expected, "the path is not M1 R1 M2 R2 …"
    outcomes = [row for row in messages if row["role"] == "assistant" and row["ordinal"] is None]
    order = [run["id"] for run in runs if run["session_id"] == messages[0]["session_id"]]
    assert [row["run_id"] for row in outcomes] == order, "replies are in another order"


def _path(messages: list[Any], head: Any) -> list[Any]:
    parents = {row["id"]: row["parent_id"] for row in messages}
    path: list[Any] = []
    while head is not None:
        path.append(head)
        head = parents[head]
    return path[::-1]


def _streams_are_whole(runs: list[Any], messages: list[Any], events: list[Any]) -> None:
    streams: dict[Any, list[Any]] = defaultdict(list)
    for event in events:
        streams[event["run_id"]].append(event)
    stored = {str(row["id"]): row for row in messages}
    for run in runs:
        stream = streams[run["id"]]
        assert [event["seq"] for event in stream] == list(range(1, len(stream) + 1)), "a gap"
        ends = [event["type"] for event in stream if event["type"] in TERMINAL]
        assert ends == [f"run.{run['status']}"], f"the stream ends as {ends}"
        assert stream[-1]["type"] in TERMINAL, "something was streamed after the end"
        for message_id, text in streamed_texts(stream).items():
            assert text_of(stored[message_id]) == text, "what was streamed is not what is stored"


def streamed_texts(stream: list[Any]) -> dict[str, str]:
    """Return what a reader of the whole stream holds at its end, by message."""
    texts: dict[str, str] = {}
    for event in stream:
        if event["type"] == "message.delta":
            message_id = event["data"]["message_id"]
            texts[message_id] = texts.get(message_id, "") + event["data"]["text"]
        elif event["type"] == "message.discarded":
            texts.pop(event["data"]["message_id"], None)
    return texts


def text_of(row: Any) -> str:
    """Return the words of a message's row."""
    return "".join(part["text"] for part in row["content"] if part["type"] == "text")
