"""Changing messages: metadata always, own words only while nobody answers them."""

from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import SERVICE
from tests.support.worker import text

_CHANGE = "update public.messages set content = $2 where id = $1"


@pytest.mark.parametrize("state", ["ready", "running", "waiting", "requires_action", "cancelling"])
async def test_words_that_are_being_answered_cannot_be_changed(chat: Chat, state: str) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "M1")
    if state == "waiting":
        message = await chat.ada.say(session, "M2")
    elif state != "ready":
        claim = await chat.worker.claim_one()
        if state == "requires_action":
            await chat.worker.park(claim, "a")
        elif state == "cancelling":
            await chat.ada.cancel(claim["run_id"])
    assert (await chat.run_of(message))["status"] == state

    with pytest.raises(asyncpg.PostgresError, match="the message is being answered") as refused:
        await chat.ada.change(_CHANGE, message, "other words")

    assert refused.value.sqlstate == "PT409"


async def test_words_that_were_answered_can_be_changed_and_answered_again(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    message = UUID(claim["message_id"])

    assert await chat.ada.change(_CHANGE, message, "other words") == 1
    await chat.ada.regenerate(message)

    history = await chat.worker.history(await chat.worker.claim_one())
    assert [m["content"] for m in history["messages"]] == [text("other words")]


async def test_a_change_is_checked_like_an_insert(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    with pytest.raises(asyncpg.CheckViolationError, match="the message is empty"):
        await chat.ada.change(_CHANGE, UUID(claim["message_id"]), " ")
    with pytest.raises(asyncpg.CheckViolationError, match="text, image and file parts only"):
        await chat.ada.change(
            _CHANGE, UUID(claim["message_id"]), [{"type": "reasoning", "text": "x"}]
        )


async def test_the_assistants_words_cannot_be_changed(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    outcome = await chat.outcome(claim["run_id"])

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only your own words"):
        await chat.ada.change(_CHANGE, outcome["id"], "I never said that")

    assert (await chat.message(outcome["id"]))["content"] == text("R1")


async def test_metadata_of_any_own_message_can_be_changed_at_any_time(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    said = await chat.worker.say(claim, "Rolling.")
    before = await chat.message(said)

    for message in (UUID(claim["message_id"]), said):
        changed = await chat.ada.change(
            "update public.messages set metadata = $2 where id = $1", message, {"rating": 5}
        )
        assert changed == 1

    after = await chat.message(said)
    assert (after["metadata"], after["content"]) == ({"rating": 5}, before["content"])
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


async def test_the_same_words_written_again_are_no_change(chat: Chat) -> None:
    claim = await chat.claimed("M1")

    assert await chat.ada.change(_CHANGE, UUID(claim["message_id"]), text("M1")) == 1


async def test_a_string_becomes_a_part_when_it_is_changed_too(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    await chat.ada.change(_CHANGE, UUID(claim["message_id"]), "plain")

    assert (await chat.message(claim["message_id"]))["content"] == text("plain")


async def test_the_service_may_correct_a_reply(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    outcome = await chat.outcome(claim["run_id"])

    assert await chat.browser(SERVICE).change(_CHANGE, outcome["id"], text("masked")) == 1


async def test_another_user_changes_nothing(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    assert await chat.bob.change(_CHANGE, UUID(claim["message_id"]), "mine now") == 0


async def test_a_change_starts_no_run(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    await chat.ada.change(_CHANGE, UUID(claim["message_id"]), "other words")

    assert await chat.statuses(claim["session_id"]) == ["completed"]
