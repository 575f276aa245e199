"""Streams: what a session has said behind a cursor, run by run, and who is told of it."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ANONYMOUS, BOB, NO_SUB, Identity
from tests.support.listener import Listener
from tests.support.worker import Claim, delta, text

RUN = "00000000-0000-4000-8000-00000000000a"
MALFORMED = ["", ":", "1", "x:1", RUN, f"{RUN}:", f"{RUN}:-1", f"{RUN}:1.5", f"{RUN}:END"]
MALFORMED += [f" {RUN}:1", f"{RUN}:1 ", f"{RUN}:{10**10}"]


def _kinds(read: Any) -> list[tuple[str, Any, str]]:
    return [(event["run_id"], event["seq"], event["type"]) for event in read["events"]]


async def _answered(chat: Chat, claim: Claim, words: str = "Well met") -> None:
    message = uuid4()
    await chat.worker.finish(claim, words, message_id=message, events=[delta(1, message, words)])


async def _purged(chat: Chat, *claims: Claim) -> None:
    await chat.admin.execute(
        "update engine.runs set ended_at = ended_at - interval '61 min'"
        " where id = any($1::text[]::uuid[])",
        [claim["run_id"] for claim in claims],
    )
    await chat.worker.call("purge", 100)


async def test_a_session_speaks_run_by_run_in_the_order_of_its_messages(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2")
    first = await chat.worker.claim_one()
    await _answered(chat, first, "R1")
    second = await chat.worker.claim_one()
    await _answered(chat, second, "R2")

    read = await chat.worker.read_stream(first)

    assert _kinds(read) == [
        (first["run_id"], 1, "message.delta"),
        (first["run_id"], 2, "run.completed"),
        (second["run_id"], 1, "message.delta"),
        (second["run_id"], 2, "run.completed"),
    ]
    assert read["more"] is False


async def test_a_reader_gets_what_lies_behind_its_cursor_and_nothing_twice(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()
    await chat.worker.flush(claim, *(delta(seq, message, str(seq)) for seq in range(1, 6)))

    read = await chat.worker.read_stream(claim, after=3)

    assert [(event["seq"], event["text"]) for event in read["events"]] == [(4, "4"), (5, "5")]


async def test_a_long_stream_comes_in_pages_that_meet(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()
    await chat.worker.flush(claim, *(delta(seq, message, "x") for seq in range(1, 1202)))

    pages, after = [], 0
    while True:
        read = await chat.worker.read_stream(claim, after)
        pages.append(len(read["events"]))
        if not read["more"]:
            break
        after = read["events"][-1]["seq"]

    assert pages == [500, 500, 201]


async def test_a_page_is_about_256_kilobytes_whatever_the_events_weigh(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()
    # The same letter again and again: next to nothing on the disk.
    await chat.worker.flush(claim, *(delta(seq, message, "x" * 50_000) for seq in range(1, 13)))
    await chat.worker.flush(claim, delta(13, message, "y" * 400_000), delta(14, message, "z"))

    pages, after = [], 0
    while True:
        read = await chat.worker.read_stream(claim, after)
        pages.append(len(read["events"]))
        if not read["more"]:
            break
        after = read["events"][-1]["seq"]

    assert pages == [6, 6, 1, 1]


async def test_the_answers_come_in_the_order_of_the_cursors_and_a_gone_session_is_null(
    chat: Chat,
) -> None:
    claims = [await chat.claimed(), await chat.claimed()]
    for claim in claims:
        await chat.worker.flush(claim, delta(1, uuid4(), claim["run_id"]))
    cursors = [
        {"session_id": claims[1]["session_id"], "run_id": None, "after": 0},
        {"session_id": str(uuid4()), "run_id": None, "after": 0},
        {"session_id": claims[0]["session_id"], "run_id": claims[0]["run_id"], "after": 0},
    ]

    second, gone, first = await chat.worker.call("read_streams", cursors)

    assert gone is None
    assert second["events"][0]["text"] == claims[1]["run_id"]
    assert first["events"][0]["text"] == claims[0]["run_id"]


async def test_a_cursor_names_no_run_of_another_session(chat: Chat) -> None:
    mine, other = await chat.claimed(), await chat.claimed()
    await chat.worker.flush(other, delta(1, uuid4(), "secret"))
    cursor = {"session_id": mine["session_id"], "run_id": other["run_id"], "after": 0}

    assert await chat.worker.call("read_streams", [cursor]) == [{"events": [], "more": False}]


async def test_a_reader_that_comes_after_the_purge_gets_a_snapshot(chat: Chat) -> None:
    claim = await chat.claimed()
    said = await chat.worker.say(claim, "Rolling.")
    await chat.worker.flush(claim, delta(1, said, "Rolling."))
    await chat.worker.finish(claim, "A sev", status="incomplete", reason="max_output_tokens")
    await _purged(chat, claim)

    (snapshot,) = (await chat.worker.read_stream(claim, after=1))["events"]

    assert (snapshot["type"], snapshot["seq"]) == ("run.snapshot", None)
    assert snapshot["status"] == "incomplete"
    assert [(m["content"], m["ordinal"], m["reason"]) for m in snapshot["messages"]] == [
        (text("Rolling."), 0, None),
        (text("A sev"), None, "max_output_tokens"),
    ]
    read = await chat.ada.read_stream(claim["session_id"], f"{claim['run_id']}:end")
    assert (read["resumed"], read["events"]) == (True, [])


async def test_a_purged_run_stands_before_the_runs_behind_it(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2")
    first = await chat.worker.claim_one()
    await _answered(chat, first)
    await _purged(chat, first)
    second = await chat.worker.claim_one()
    await _answered(chat, second)

    read = await chat.worker.read_stream(first)

    assert [kind for _, _, kind in _kinds(read)] == [
        "run.snapshot",
        "message.delta",
        "run.completed",
    ]


async def test_a_page_costs_what_it_shows_however_many_runs_lie_behind_it(chat: Chat) -> None:
    claim = await chat.claimed()
    await _answered(chat, claim)
    # A long past, all of it purged: told in snapshots.
    await chat.admin.execute(
        "insert into engine.runs (session_id, user_id, model, origin, status, ended_at,"
        " events_purged) select $1, user_id, 'offline:demo', 'api', 'completed', now(), true"
        " from public.chat_sessions, generate_series(1, 500) where id = $1",
        UUID(claim["session_id"]),
    )

    pages, cursor, kinds = 0, f"{claim['run_id']}:0", []
    while True:
        read = await chat.ada.read_stream(claim["session_id"], cursor)
        pages += 1
        kinds += [event["type"] for event in read["events"]]
        if not read["more"]:
            break
        last = read["events"][-1]
        cursor = f"{last['run_id']}:{last['seq'] or 'end'}"

    assert kinds == ["message.delta", "run.completed"] + ["run.snapshot"] * 500
    assert 50 <= pages <= 60


async def test_a_snapshot_of_much_text_leaves_the_text_to_the_rows(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.say(claim, "small")
    await chat.worker.say(claim, "x" * 300_000, ordinal=1)
    await chat.worker.finish(claim, "behind it")
    await _purged(chat, claim)

    (snapshot,) = (await chat.worker.read_stream(claim))["events"]

    told = [message["content"] for message in snapshot["messages"]]
    assert told == [text("small"), None, None]


async def test_a_new_reader_starts_at_the_oldest_open_run(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2", "M3")
    first = await chat.worker.claim_one()
    await _answered(chat, first)
    second = await chat.worker.claim_one()
    await chat.worker.flush(second, delta(1, uuid4(), "R2"))

    read = await chat.ada.read_stream(session)

    assert (read["resumed"], read["last_event_id"]) == (False, f"{first['run_id']}:end")
    assert _kinds(read) == [(second["run_id"], 1, "message.delta")]


async def test_a_new_reader_of_a_quiet_session_gets_a_place_to_go_on_from(chat: Chat) -> None:
    claim = await chat.claimed()
    await _answered(chat, claim)

    read = await chat.ada.read_stream(claim["session_id"])
    assert (read["resumed"], read["events"]) == (False, [])

    await chat.ada.say(claim["session_id"], "M2")
    again = await chat.worker.claim_one()
    await _answered(chat, again)
    resumed = await chat.ada.read_stream(claim["session_id"], read["last_event_id"])
    assert (resumed["resumed"], resumed["events"][0]["run_id"]) == (True, again["run_id"])


async def test_a_session_without_runs_has_no_place_yet(chat: Chat) -> None:
    read = await chat.ada.read_stream(await chat.ada.start_session())

    assert read == {"resumed": False, "last_event_id": None, "events": [], "more": False}


async def test_an_unknown_event_starts_anew_and_looks_like_one_of_another_session(
    chat: Chat,
) -> None:
    mine, other = await chat.claimed(), await chat.claimed()
    await chat.worker.flush(mine, delta(1, uuid4(), "mine"))
    await chat.worker.flush(other, delta(1, uuid4(), "other"))

    foreign = await chat.ada.read_stream(mine["session_id"], f"{other['run_id']}:1")
    missing = await chat.ada.read_stream(mine["session_id"], f"{uuid4()}:1")

    assert foreign == missing
    assert (foreign["resumed"], [event["text"] for event in foreign["events"]]) == (False, ["mine"])


@pytest.mark.parametrize("event_id", MALFORMED)
async def test_a_malformed_event_id_is_refused(chat: Chat, event_id: str) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.InvalidParameterValueError):
        await chat.ada.read_stream(session, event_id)


@pytest.mark.parametrize("who", [BOB, NO_SUB], ids=["another user", "nobody"])
async def test_another_users_stream_looks_like_one_that_is_not_there(
    chat: Chat, who: Identity
) -> None:
    claim = await chat.claimed()
    await chat.worker.flush(claim, delta(1, uuid4(), "secret"))
    browser = chat.browser(who)
    cursor = f"{claim['run_id']}:0"

    for event_id in (None, cursor):
        assert await browser.read_stream(claim["session_id"], event_id) is None
        assert await browser.read_stream(uuid4(), event_id) is None


async def test_a_stream_is_refused_without_a_token(chat: Chat) -> None:
    claim = await chat.claimed()
    anonymous = chat.browser(ANONYMOUS)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await anonymous.read_stream(claim["session_id"])


@pytest.mark.parametrize("function", ["open_stream($1, null)", "read_streams('[]'::jsonb)"])
async def test_a_browser_cannot_name_what_lies_beneath(chat: Chat, function: str) -> None:
    claim = await chat.claimed()
    values = [UUID(claim["session_id"])] if "$1" in function else []

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.ada.value(f"select engine.{function}", *values)


@pytest.fixture
async def listener(chat: Chat) -> Listener:
    made = Listener(await chat.line().open(), "assistants_events")
    await made.start()
    return made


async def test_a_worker_announces_the_sessions_that_have_something_new(
    chat: Chat, listener: Listener
) -> None:
    sessions = [uuid4() for _ in range(450)]

    await chat.worker.call("announce_events", sessions)

    heard = await listener.heard()
    assert [len(payload.split(",")) for payload in heard] == [200, 200, 50]
    assert ",".join(heard) == ",".join(map(str, sessions))


async def test_announcing_nothing_says_nothing(chat: Chat, listener: Listener) -> None:
    await chat.worker.call("announce_events", [])

    assert await listener.heard() == []


async def test_a_run_that_ends_without_a_worker_is_announced_at_its_commit(
    chat: Chat, listener: Listener
) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "M1")
    run = (await chat.run_of(message))["id"]

    await chat.ada.cancel(run)

    assert await listener.heard() == [str(session)]
    assert await chat.events(run) == [(1, "run.cancelled")]


async def test_a_wait_that_is_reaped_is_announced(chat: Chat, listener: Listener) -> None:
    claim = await chat.claimed()
    await chat.worker.park(claim, "call_1")
    await chat.let_waits_expire()

    await chat.worker.reap()

    assert await listener.heard() == [claim["session_id"]]
