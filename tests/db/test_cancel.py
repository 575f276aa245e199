"""Cancelling a run, by its owner, in each of its states."""

from uuid import UUID

import pytest

from tests.support.chat import Chat
from tests.support.worker import delta, text


async def test_a_ready_run_is_cancelled_at_once(chat: Chat) -> None:
    session = await chat.ada.start_session()
    run = await chat.run_of(await chat.ada.say(session))

    answer = await chat.ada.cancel(run["id"])

    assert answer["status"] == "cancelled"
    outcome = await chat.outcome(run["id"])
    assert (outcome["status"], outcome["reason"]) == ("incomplete", "cancelled")
    assert await chat.worker.claim() == []


async def test_a_running_run_is_cancelling_until_its_worker_ends_it(chat: Chat) -> None:
    claim = await chat.claimed()
    assert (await chat.ada.cancel(claim["run_id"]))["status"] == "cancelling"

    answer = await chat.worker.finish(claim, "Too late", status="completed")

    assert answer == {"state": "stored", "status": "cancelled"}
    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["status"], outcome["reason"]) == ("incomplete", "cancelled")
    assert outcome["content"] == text("Too late")


async def test_a_run_being_cancelled_that_its_worker_gives_back_is_cancelled(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.say(claim["session_id"], "M2")
    await chat.ada.cancel(claim["run_id"])

    assert await chat.worker.release(claim) == {"state": "stored"}

    assert await chat.statuses(claim["session_id"]) == ["cancelled", "ready"]


async def test_a_run_being_cancelled_cannot_be_parked(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.cancel(claim["run_id"])

    assert await chat.worker.park(claim, "a") == {"state": "stored"}

    assert await chat.statuses(claim["session_id"]) == ["cancelled"]


async def test_a_parked_run_is_cancelled_at_once_and_the_next_has_its_turn(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.say(claim["session_id"], "M2")
    await chat.worker.park(claim, "a")

    await chat.ada.cancel(claim["run_id"])

    run = await chat.run(claim["run_id"])
    assert run["required_action"] is None
    assert await chat.statuses(claim["session_id"]) == ["cancelled", "ready"]


async def test_a_waiting_run_that_is_cancelled_ends_in_its_turn(chat: Chat) -> None:
    session = await chat.ada.start_session()
    for words in ("M1", "M2", "M3"):
        await chat.ada.say(session, words)
    first = await chat.worker.claim_one()
    second = (await chat.runs(session))[1]

    shown = await chat.ada.cancel(second["id"])
    assert (shown["status"], await chat.outcome(second["id"])) == ("cancelling", None)
    await chat.worker.finish(first, "R1")

    assert await chat.statuses(session) == ["completed", "cancelled", "ready"]
    assert await chat.path(session) == ["M1", "R1", "M2", "", "M3"]


async def test_cancelling_the_live_run_ends_a_cancelled_waiting_one_too(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2", "M3")
    runs = await chat.runs(session)

    await chat.ada.cancel(runs[1]["id"])
    await chat.ada.cancel(runs[0]["id"])

    assert await chat.statuses(session) == ["cancelled", "cancelled", "ready"]
    for run in runs[:2]:
        assert (await chat.outcome(run["id"]))["reason"] == "cancelled"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_stays_as_it_is(chat: Chat, status: str) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim, status=status)
    before = await chat.run(claim["run_id"])

    assert (await chat.ada.cancel(claim["run_id"]))["status"] == status

    assert await chat.run(claim["run_id"]) == before


async def test_a_browser_sees_that_a_waiting_run_is_being_cancelled_and_no_other(
    chat: Chat,
) -> None:
    async def shown() -> list[str]:
        rows = await chat.ada.fetch("select status from public.runs order by queued_no")
        return [row["status"] for row in rows]

    claim = await chat.claimed()
    await chat.ada.say(UUID(claim["session_id"]))
    assert await shown() == ["running", "waiting"]
    for run in await chat.runs(claim["session_id"]):
        await chat.ada.cancel(run["id"])
    assert await shown() == ["cancelling", "cancelling"]

    await chat.worker.finish(claim)

    assert await shown() == ["cancelled", "cancelled"]


async def test_cancelling_twice_changes_nothing_more(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.cancel(claim["run_id"])
    before = await chat.run(claim["run_id"])

    await chat.ada.cancel(claim["run_id"])

    assert await chat.run(claim["run_id"]) == before


async def test_a_released_run_that_is_cancelled_keeps_the_text_that_was_seen(chat: Chat) -> None:
    claim = await chat.claimed()
    message = claim["run_id"]
    await chat.worker.release(claim, [delta(1, message, "You see")])

    await chat.ada.cancel(claim["run_id"])

    outcome = await chat.outcome(claim["run_id"])
    assert (str(outcome["id"]), outcome["content"]) == (message, text("You see"))


async def test_a_new_message_supersedes_what_is_running_where_the_session_says_so(
    chat: Chat,
) -> None:
    claim = await chat.claimed("M1", while_running="supersede")
    session = claim["session_id"]

    await chat.ada.say(session, "M2")
    assert await chat.statuses(session) == ["cancelling", "waiting"]
    assert (await chat.worker.heartbeat(claim))["cancelled"][0]["reason"] == "superseded"
    await chat.worker.finish(claim, "R")

    assert await chat.statuses(session) == ["cancelled", "ready"]
    assert (await chat.outcome(claim["run_id"]))["reason"] == "superseded"
    assert await chat.path(session) == ["M1", "R", "M2"]


async def test_of_three_messages_of_one_statement_the_last_supersedes_the_others(
    chat: Chat,
) -> None:
    session = await chat.ada.start_session(while_running="supersede")

    await chat.ada.say_all(session, "M1", "M2", "M3")

    assert await chat.statuses(session) == ["cancelled", "cancelled", "ready"]
    assert await chat.path(session) == ["M1", "", "M2", "", "M3"]
    reasons = [(await chat.outcome(run["id"]))["reason"] for run in (await chat.runs(session))[:2]]
    assert reasons == ["superseded", "superseded"]


async def test_waiting_runs_are_superseded_too(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2")
    claim = await chat.worker.claim_one()
    await chat.ada.change("update public.chat_sessions set while_running = 'supersede'")

    await chat.ada.say(session, "M3")
    await chat.worker.finish(claim, "R1")

    assert await chat.statuses(session) == ["cancelled", "cancelled", "ready"]
    assert await chat.path(session) == ["M1", "R1", "M2", "", "M3"]


async def test_hundreds_of_cancelled_runs_end_in_turns_of_bounded_length(chat: Chat) -> None:
    session = await chat.ada.start_session()
    for number in range(131):
        await chat.ada.say(session, f"M{number}")
    await chat.ada.change("update public.chat_sessions set while_running = 'supersede'")

    last = await chat.ada.say(session, "The last")

    ended = (await chat.statuses(session)).count("cancelled")
    assert 50 <= ended <= 52
    for _ in range(3):
        claims = await chat.worker.claim()
    assert [claim["message_id"] for claim in claims] == [str(last)]
    assert (await chat.statuses(session)).count("cancelled") == 131
    outcomes = [row for row in await chat.messages(session) if row["role"] == "assistant"]
    assert {row["reason"] for row in outcomes} == {"superseded"}
