"""Answering a message again: a new run, a new branch, the old reply stays."""

from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim


async def test_the_new_reply_is_a_sibling_of_the_old_one(chat: Chat) -> None:
    claim = await _answered(chat)
    question = UUID(claim["message_id"])

    run = await chat.ada.regenerate(question)
    await chat.worker.finish(await chat.worker.claim_one(), "R1'")

    old, new = await chat.outcome(claim["run_id"]), await chat.outcome(run)
    assert old["parent_id"] == new["parent_id"] == question
    assert await chat.path(claim["session_id"]) == ["M1", "R1'"]


async def test_the_answer_is_the_new_run_as_its_owner_sees_it(chat: Chat) -> None:
    claim = await _answered(chat)

    (run,) = await chat.ada.fetch("select * from public.regenerate($1)", claim["message_id"])

    assert (run["origin"], run["status"]) == ("regenerate", "ready")
    assert str(run["message_id"]) == claim["message_id"]
    assert dict(run) == dict((await chat.ada.fetch("select * from public.runs"))[-1])


async def test_a_replys_id_stands_for_the_message_that_it_answers(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])

    run = await chat.run(await chat.ada.regenerate(reply["id"]))

    assert str(run["message_id"]) == claim["message_id"]


async def test_the_model_is_not_given_the_reply_that_it_replaces(chat: Chat) -> None:
    claim = await _answered(chat)
    await chat.ada.regenerate(UUID(claim["message_id"]))

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M1"]


async def test_a_message_can_be_answered_again_and_again(chat: Chat) -> None:
    claim = await _answered(chat)
    for _ in range(2):
        await chat.ada.regenerate(UUID(claim["message_id"]))
        await chat.worker.finish(await chat.worker.claim_one(), "again")

    assert await chat.statuses(claim["session_id"]) == ["completed"] * 3


async def test_an_earlier_message_is_answered_again_on_its_own_branch(chat: Chat) -> None:
    claim = await _answered(chat)
    await chat.ada.say(claim["session_id"], "M2")
    await chat.worker.finish(await chat.worker.claim_one(), "R2")

    await chat.ada.regenerate(UUID(claim["message_id"]))
    await chat.worker.finish(await chat.worker.claim_one(), "R1'")

    assert await chat.path(claim["session_id"]) == ["M1", "R1'"]


async def test_behind_an_open_run_it_waits_for_its_turn(chat: Chat) -> None:
    claim = await _answered(chat)
    session = claim["session_id"]
    await chat.ada.say(session, "M2")

    await chat.ada.regenerate(UUID(claim["message_id"]))
    assert await chat.statuses(session) == ["completed", "ready", "waiting"]
    await chat.worker.finish(await chat.worker.claim_one(), "R2")
    await chat.worker.finish(await chat.worker.claim_one(), "R1'")

    assert await chat.path(session) == ["M1", "R1'"]


@pytest.mark.parametrize("state", ["ready", "running", "waiting"])
async def test_a_message_that_is_being_answered_is_not_answered_twice(
    chat: Chat, state: str
) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session)
    if state == "running":
        await chat.worker.claim_one()
    elif state == "waiting":
        message = await chat.ada.say(session)

    with pytest.raises(asyncpg.PostgresError, match="is being answered") as refused:
        await chat.ada.regenerate(message)

    assert refused.value.sqlstate == "PT409"


async def test_a_reply_whose_question_is_gone_cannot_be_made_again(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    await chat.ada.delete("messages", UUID(claim["message_id"]))

    with pytest.raises(asyncpg.PostgresError, match="no message of yours") as refused:
        await chat.ada.regenerate(reply["id"])

    assert refused.value.sqlstate == "PT409"


async def test_the_new_run_takes_the_sessions_assistant_of_today(chat: Chat) -> None:
    claim = await _answered(chat)
    mine = (await chat.ada.insert("assistants", name="Mine"))["id"]
    await chat.ada.change("update public.chat_sessions set assistant_id = $1", mine)

    run = await chat.run(await chat.ada.regenerate(UUID(claim["message_id"])))

    assert run["assistant_id"] == mine


async def _answered(chat: Chat) -> Claim:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    return claim
