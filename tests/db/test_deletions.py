"""Deleting messages: their runs are cancelled, their children stay on the path."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import delta, text


async def test_deleting_a_message_hands_its_children_to_the_grandparent(chat: Chat) -> None:
    session = await _conversation(chat, "M1", "M2", "M3")
    second = (await chat.messages(session))[2]

    assert await chat.ada.delete("messages", second["id"]) == 1

    assert await chat.path(session) == ["M1", "R1", "R2", "M3", "R3"]


async def test_deleting_neighbours_at_once_closes_the_whole_gap(chat: Chat) -> None:
    session = await _conversation(chat, "M1", "M2", "M3")
    doomed = [row["id"] for row in (await chat.messages(session))[1:4]]

    assert await chat.ada.delete("messages", *doomed) == 3

    assert await chat.path(session) == ["M1", "M3", "R3"]


async def test_deleting_the_first_message_leaves_its_child_the_first(chat: Chat) -> None:
    session = await _conversation(chat, "M1", "M2")
    first = (await chat.messages(session))[0]

    await chat.ada.delete("messages", first["id"])

    assert await chat.path(session) == ["R1", "M2", "R2"]
    assert (await chat.messages(session))[0]["parent_id"] is None


async def test_deleting_the_newest_moves_the_head_back(chat: Chat) -> None:
    session = await _conversation(chat, "M1", "M2")
    *_, question, reply = await chat.messages(session)

    await chat.ada.delete("messages", question["id"], reply["id"])

    assert await chat.path(session) == ["M1", "R1"]


async def test_children_on_two_branches_both_go_to_the_grandparent(chat: Chat) -> None:
    session = await _conversation(chat, "M1")
    first, reply = await chat.messages(session)
    branches = [await chat.ada.say(session, f"B{n}", parent_id=reply["id"]) for n in (1, 2)]

    await chat.ada.delete("messages", reply["id"])

    assert {(await chat.message(branch))["parent_id"] for branch in branches} == {first["id"]}


async def test_all_messages_of_a_session_can_go_at_once(chat: Chat) -> None:
    session = await _conversation(chat, "M1", "M2")

    assert await chat.ada.change("delete from public.messages where session_id = $1", session) == 4

    assert await chat.messages(session) == []
    assert (await chat.session(session))["head_id"] is None
    assert [run["message_id"] for run in await chat.runs(session)] == [None, None]


async def test_all_messages_of_a_busy_session_can_go_at_once(chat: Chat) -> None:
    session = await _conversation(chat, "M1")
    await chat.ada.say_all(session, "M2", "M3")
    claim = await chat.worker.claim_one()

    assert await chat.ada.change("delete from public.messages where session_id = $1", session) == 4
    await chat.worker.finish(claim, "Too late")

    assert await chat.statuses(session) == ["completed", "cancelled", "cancelled"]
    assert [m["content"] for m in await chat.messages(session) if m["role"] == "user"] == []
    await chat.ada.say(session, "M4")
    assert await chat.statuses(session) == ["completed", "cancelled", "cancelled", "ready"]


async def test_the_run_of_a_deleted_ready_message_is_cancelled_at_once(chat: Chat) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "M1")

    await chat.ada.delete("messages", message)

    (run,) = await chat.runs(session)
    assert (run["status"], run["message_id"]) == ("cancelled", None)
    assert (await chat.outcome(run["id"]))["reason"] == "deleted"
    assert await chat.worker.claim() == []


async def test_the_worker_of_a_deleted_message_is_told_to_stop(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.delete("messages", UUID(claim["message_id"]))

    heard = await chat.worker.heartbeat(claim)
    answer = await chat.worker.finish(claim, "Too late")

    assert heard["cancelled"] == [{"run_id": claim["run_id"], "reason": "deleted"}]
    assert answer == {"state": "stored", "status": "cancelled"}
    assert (await chat.outcome(claim["run_id"]))["parent_id"] is None


async def test_a_deleted_waiting_message_has_its_outcome_in_its_turn(chat: Chat) -> None:
    session = await chat.ada.start_session()
    _, second, _ = await chat.ada.say_all(session, "M1", "M2", "M3")
    first = await chat.worker.claim_one()

    await chat.ada.delete("messages", second)
    assert await chat.statuses(session) == ["running", "waiting", "waiting"]
    await chat.worker.finish(first, "R1")

    assert await chat.statuses(session) == ["completed", "cancelled", "ready"]
    assert (await chat.outcome((await chat.runs(session))[1]["id"]))["reason"] == "deleted"
    assert [said for said in await chat.path(session) if said] == ["M1", "R1", "M3"]


async def test_the_runs_of_an_answered_message_that_is_deleted_stay_ended(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    await chat.ada.delete("messages", UUID(claim["message_id"]))

    run = await chat.run(claim["run_id"])
    assert (run["status"], run["message_id"], run["cancel_reason"]) == ("completed", None, None)
    assert await chat.path(claim["session_id"]) == ["R1"]


async def test_a_text_said_on_the_way_can_be_deleted_while_the_run_goes_on(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    said = await chat.worker.say(claim, "Rolling.")

    await chat.ada.delete("messages", said)
    await chat.worker.finish(claim, "A seven.")

    assert await chat.statuses(claim["session_id"]) == ["completed"]
    assert await chat.path(claim["session_id"]) == ["M1", "A seven."]


async def test_a_deleted_text_does_not_come_back_in_the_outcome(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    claim = await chat.claimed()
    said = uuid4()
    await chat.worker.flush(claim, delta(1, said, "a secret"))
    stored = {"message_id": str(said), "ordinal": 0, "content": text("a secret")}
    await chat.worker.checkpoint(claim, said=stored)
    await chat.ada.delete("messages", said)
    await chat.let_leases_expire()

    await chat.worker.reap()

    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["error"], outcome["content"]) == ("worker_lost", [])


async def test_deleting_nothing_is_no_error(chat: Chat) -> None:
    claim = await chat.claimed()

    assert await chat.bob.delete("messages", UUID(claim["message_id"])) == 0
    assert await chat.statuses(claim["session_id"]) == ["running"]


async def test_a_parent_cannot_vanish_under_its_children(chat: Chat) -> None:
    session = await _conversation(chat, "M1")
    await chat.admin.execute("alter table messages disable trigger close_gap")

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.ada.delete("messages", (await chat.messages(session))[0]["id"])


async def _conversation(chat: Chat, *questions: str) -> UUID:
    session = await chat.ada.start_session()
    for words in questions:
        await chat.ada.say(session, words)
        await chat.worker.finish(await chat.worker.claim_one(), words.replace("M", "R"))
    return session
