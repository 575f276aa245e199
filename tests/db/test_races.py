"""Ends, promotions and deletions that meet: none may deadlock, none may lose anything."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.races import blocked, session_held
from tests.support.worker import Claim


async def test_a_finish_that_comes_after_the_sessions_deletion_finds_it_gone(chat: Chat) -> None:
    claim = await chat.claimed()

    async with chat.ada.transaction() as connection:
        await connection.execute("delete from public.chat_sessions")
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim))

    assert await finishing == {"state": "gone"}
    assert await chat.messages(claim["session_id"]) == []


async def test_a_deletion_of_the_session_waits_for_the_finish_and_takes_its_row(
    chat: Chat,
) -> None:
    claim = await chat.claimed()
    session = UUID(claim["session_id"])

    async with chat.worker.transaction():
        assert (await chat.worker.finish(claim))["state"] == "stored"
        deleting = await blocked(chat, chat.ada, chat.ada.delete("chat_sessions", session))

    assert await deleting == 1
    assert await chat.messages(session) == []
    assert await chat.runs(session) == []


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_finish_and_deletion_of_the_session_queue_up_in_either_order(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed()
    session = UUID(claim["session_id"])

    async with session_held(chat, session):
        tasks = {}
        for name in (first, "delete" if first == "finish" else "finish"):
            if name == "finish":
                tasks[name] = await blocked(chat, chat.worker, chat.worker.finish(claim))
            else:
                deleting = chat.ada.delete("chat_sessions", session)
                tasks[name] = await blocked(chat, chat.ada, deleting)

    assert (await tasks["finish"])["state"] == ("stored" if first == "finish" else "gone")
    assert await tasks["delete"] == 1
    assert await chat.session(session) is None


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_finish_and_deletion_of_the_answered_message_lose_nothing(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed("M1")
    session, message = claim["session_id"], UUID(claim["message_id"])

    async with session_held(chat, session):
        # The deletion holds its message before it can have the session.
        if first == "finish":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
        deleting = await blocked(chat, chat.ada, chat.ada.delete("messages", message))
        if first == "delete":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))

    answer = await finishing
    assert await deleting == 1
    assert answer["status"] == ("completed" if first == "finish" else "cancelled")
    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["parent_id"], await chat.path(session)) == (None, ["R1"])
    assert (await chat.run(claim["run_id"]))["message_id"] is None


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_promotion_and_deletion_of_the_waiting_message_lose_nothing(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed("M1")
    session = UUID(claim["session_id"])
    second = await chat.ada.say(session, "M2")
    await chat.ada.say(session, "M3")

    async with session_held(chat, session):
        if first == "finish":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
        deleting = await blocked(chat, chat.ada, chat.ada.delete("messages", second))
        if first == "delete":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))

    assert (await finishing)["status"] == "completed"
    assert await deleting == 1
    assert await chat.statuses(session) == ["completed", "cancelled", "ready"]
    skipped = (await chat.runs(session))[1]
    assert (await chat.outcome(skipped["id"]))["reason"] == "deleted"
    assert [said for said in await chat.path(session) if said] == ["M1", "R1", "M3"]


async def test_parent_and_child_deleted_at_once_may_deadlock_and_lose_nothing(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    other = chat.browser(chat.ada.who)

    async with session_held(chat, reply["session_id"]):
        parent = chat.ada.delete("messages", UUID(claim["message_id"]))
        tasks = [await blocked(chat, chat.ada, parent)]
        tasks.append(await blocked(chat, other, other.delete("messages", reply["id"])))
    results = await asyncio.gather(*tasks, return_exceptions=True)

    failed = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, asyncpg.DeadlockDetectedError) for error in failed)
    left = await chat.messages(reply["session_id"])
    assert len(left) == len(failed) <= 1
    assert await chat.path(reply["session_id"]) == [m["content"][0]["text"] for m in left]


async def _answered(chat: Chat) -> Claim:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    return claim
