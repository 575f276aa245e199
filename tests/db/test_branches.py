"""Branches: history is the path of parents, however the messages came in."""

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import SERVICE


async def test_three_messages_during_one_run_alternate_with_their_replies(chat: Chat) -> None:
    session = await chat.ada.start_session()
    for words in ("M1", "M2", "M3"):
        await chat.ada.say(session, words)

    await _answer(chat, "R1", "R2", "R3")

    assert await chat.path(session) == ["M1", "R1", "M2", "R2", "M3", "R3"]
    assert [m["content"][0]["text"] for m in await chat.messages(session)] == [
        *("M1", "M2", "M3"),
        *("R1", "R2", "R3"),
    ]


async def test_three_messages_of_one_statement_alternate_with_their_replies(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2", "M3")

    await _answer(chat, "R1", "R2", "R3")

    assert await chat.path(session) == ["M1", "R1", "M2", "R2", "M3", "R3"]


async def test_a_statement_of_several_messages_goes_on_where_the_talk_had_ended(
    chat: Chat,
) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "M1")
    await _answer(chat, "R1")

    await chat.ada.say_all(session, "M2", "M3")
    await _answer(chat, "R2", "R3")

    assert await chat.path(session) == ["M1", "R1", "M2", "R2", "M3", "R3"]


async def test_a_message_waits_without_a_parent_until_its_turn(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "M1")
    second = await chat.ada.say(session, "M2")
    assert (await chat.message(second))["parent_id"] is None

    await _answer(chat, "R1")

    reply = (await chat.messages(session))[-1]
    assert (await chat.message(second))["parent_id"] == reply["id"]
    assert (await chat.session(session))["head_id"] == second


async def test_a_message_that_need_not_wait_follows_the_head(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")

    second = await chat.ada.say(claim["session_id"], "M2")

    assert (await chat.message(second))["parent_id"] == (await chat.outcome(claim["run_id"]))["id"]


async def test_an_explicit_parent_is_never_changed(chat: Chat) -> None:
    session = await chat.ada.start_session()
    first = await chat.ada.say(session, "M1")
    await _answer(chat, "R1")
    await chat.ada.say(session, "M2")
    branch = await chat.ada.say(session, "M2'", parent_id=first)
    assert (await chat.message(branch))["parent_id"] == first

    await _answer(chat, "R2", "R2'")

    assert (await chat.message(branch))["parent_id"] == first
    assert await chat.path(session) == ["M1", "M2'", "R2'"]


async def test_the_next_message_follows_the_branch_that_was_taken_last(chat: Chat) -> None:
    session = await chat.ada.start_session()
    first = await chat.ada.say(session, "M1")
    await _answer(chat, "R1")
    await chat.ada.say(session, "M2", parent_id=first)
    await _answer(chat, "R2")

    await chat.ada.say(session, "M3")
    await _answer(chat, "R3")

    assert await chat.path(session) == ["M1", "M2", "R2", "M3", "R3"]


@pytest.mark.parametrize("place", ["foreign", "elsewhere", "missing"])
async def test_a_parent_that_is_no_message_of_the_session_is_refused(
    chat: Chat, place: str
) -> None:
    session = await chat.ada.start_session()
    parents = {
        "foreign": await chat.bob.say(await chat.bob.start_session()),
        "elsewhere": await chat.ada.say(await chat.ada.start_session()),
        "missing": session,
    }

    with pytest.raises(asyncpg.ForeignKeyViolationError, match="not a message of this session"):
        await chat.ada.say(session, parent_id=parents[place])


async def test_a_text_said_on_the_way_stands_between_question_and_outcome(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.say(claim, "Let me roll.")
    await chat.ada.say(claim["session_id"], "M2")

    await chat.worker.finish(claim, "A seven.")

    assert await chat.path(claim["session_id"]) == ["M1", "Let me roll.", "A seven.", "M2"]


async def test_what_the_model_is_given_is_the_path_and_not_the_flat_list(chat: Chat) -> None:
    session = await chat.ada.start_session()
    first = await chat.ada.say(session, "M1")
    await _answer(chat, "R1")
    await chat.ada.say(session, "M2", parent_id=first)
    await chat.ada.say(session, "M3")

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M1", "M2"]


async def test_messages_imported_in_one_statement_are_one_path(chat: Chat) -> None:
    session = await chat.ada.start_session()

    await chat.browser(SERVICE).change(
        "insert into public.messages (session_id, role, content, starts_run)"
        """ values ($1, 'user', '"M1"', false),"""
        """ ($1, 'assistant', '[{"type": "text", "text": "R1"}]', false),"""
        """ ($1, 'user', '"M2"', false)""",
        session,
    )

    assert await chat.path(session) == ["M1", "R1", "M2"]


async def test_an_imported_message_during_a_run_does_not_take_the_replys_place(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.browser(SERVICE).say(claim["session_id"], "note", starts_run=False)

    await chat.worker.finish(claim, "R1")

    assert await chat.path(claim["session_id"]) == ["M1", "note", "R1"]


async def _answer(chat: Chat, *replies: str) -> None:
    for words in replies:
        await chat.worker.finish(await chat.worker.claim_one(), words)
