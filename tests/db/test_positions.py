"""The order of messages in a session is the order of their commits."""

from datetime import timedelta

import pytest

from tests.support.chat import LIMITS, Chat
from tests.support.identities import assume
from tests.support.races import blocked


async def test_whoever_commits_first_has_the_smaller_position(chat: Chat) -> None:
    session = await chat.ada.start_session()
    late = chat.browser(chat.ada.who)

    async with chat.ada.transaction() as early:
        first = await early.fetchval(
            "insert into public.messages (session_id, content) values ($1, $2) returning position",
            session,
            "early",
        )
        waiting = await blocked(chat, late, late.say(session, "late"))
    second = (await chat.message(await waiting))["position"]

    assert first < second
    assert await chat.statuses(session) == ["ready", "waiting"]


async def test_an_insert_that_is_rolled_back_leaves_the_next_one_first(chat: Chat) -> None:
    session = await chat.ada.start_session()
    late = chat.browser(chat.ada.who)

    connection = await chat.ada.line.open()
    early = connection.transaction()
    await early.start()
    await assume(connection, chat.ada.who)
    await connection.execute(
        "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
    )
    waiting = await blocked(chat, late, late.say(session, "stays"))
    await early.rollback()
    await waiting

    assert await chat.statuses(session) == ["ready"]
    assert await chat.path(session) == ["stays"]


async def test_created_at_never_runs_against_position(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    await chat.admin.execute(
        "update chat_sessions set last_message_at = last_message_at + interval '1 hour'"
    )

    await chat.ada.say(session)
    await chat.ada.say_all(session, "a", "b")

    times = [row["created_at"] for row in await chat.messages(session)]
    assert times == sorted(times)
    assert times[1] - times[0] > timedelta(minutes=59)


async def test_last_message_at_is_the_newest_messages_time(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b", "c")

    newest = (await chat.messages(session))[-1]
    assert (await chat.session(session))["last_message_at"] == newest["created_at"]


@pytest.mark.parametrize("whose", ["another user's", "one's own"])
async def test_other_sessions_are_not_delayed_by_an_open_transaction(
    chat: Chat, whose: str
) -> None:
    other = chat.bob
    if whose == "one's own":
        # With limits, one's own inserts queue up for the places: test_admission_races.py.
        await chat.configure(**dict.fromkeys(LIMITS))
        other = chat.browser(chat.ada.who)
    held, free = await chat.ada.start_session(), await other.start_session()

    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", held, "open"
        )
        await other.say(free, "not delayed")
        (claim,) = await chat.worker.claim()
        assert claim["session_id"] == str(free)

    assert await chat.statuses(held) == ["ready"]
