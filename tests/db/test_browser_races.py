"""Two tabs of one user: their statements follow each other, in one order for everybody."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.races import blocked, session_held
from tests.support.worker import Claim


async def test_two_bulk_inserts_of_one_session_follow_each_other(chat: Chat) -> None:
    session = await chat.ada.start_session()
    other = chat.browser(chat.ada.who)

    async with session_held(chat, session):
        tasks = [
            await blocked(chat, chat.ada, chat.ada.say_all(session, "A1", "A2", "A3")),
            await blocked(chat, other, other.say_all(session, "B1", "B2", "B3")),
        ]
    await asyncio.gather(*tasks)

    for number in range(6):
        await chat.worker.finish(await chat.worker.claim_one(), f"R{number}")
    said = [words for words in await chat.path(session) if not words.startswith("R")]
    assert said == ["A1", "A2", "A3", "B1", "B2", "B3"]


async def test_two_bulk_inserts_that_meet_half_way_follow_each_other(chat: Chat) -> None:
    session = await chat.ada.start_session()
    other = chat.browser(chat.ada.who)

    async with chat.ada.transaction() as connection:
        for words in ("A1", "A2"):
            await connection.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, words
            )
        saying = await blocked(chat, other, other.say_all(session, "B1", "B2"))
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", session, "A3"
        )
    await saying

    assert [m["content"][0]["text"] for m in await chat.messages(session)] == [
        *("A1", "A2", "A3"),
        *("B1", "B2"),
    ]
    assert await chat.statuses(session) == ["ready", *["waiting"] * 4]


async def test_of_two_regenerations_at_once_one_is_refused(chat: Chat) -> None:
    claim = await _answered(chat)
    message = UUID(claim["message_id"])
    other = chat.browser(chat.ada.who)

    async with session_held(chat, claim["session_id"]):
        tasks = [
            await blocked(chat, chat.ada, chat.ada.regenerate(message)),
            await blocked(chat, other, other.regenerate(message)),
        ]
    results = await asyncio.gather(*tasks, return_exceptions=True)

    refused = [r for r in results if isinstance(r, asyncpg.PostgresError)]
    assert [error.sqlstate for error in refused] == ["PT409"]
    assert await chat.statuses(claim["session_id"]) == ["completed", "ready"]


async def test_of_two_submissions_at_once_one_is_refused(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.park(claim, "a")
    other = chat.browser(chat.ada.who)

    async with session_held(chat, claim["session_id"]):
        tasks = [
            await blocked(chat, who, who.submit(UUID(claim["run_id"]), outputs))
            for who, outputs in (
                (chat.ada, [{"call_id": "a", "output": "first"}]),
                (other, [{"call_id": "a", "output": "second"}]),
            )
        ]
    results = await asyncio.gather(*tasks, return_exceptions=True)

    refused = [r for r in results if isinstance(r, asyncpg.PostgresError)]
    assert [error.sqlstate for error in refused] == ["PT409"]
    (step,) = (await chat.worker.history(await chat.worker.claim_one()))["steps"]
    assert step["data"]["output"] == "first"


async def test_a_message_that_meets_the_archiving_of_its_session_is_refused(chat: Chat) -> None:
    session = await chat.ada.start_session()
    other = chat.browser(chat.ada.who)

    async with chat.ada.transaction() as connection:
        await connection.execute("update public.chat_sessions set status = 'archived'")
        saying = await blocked(chat, other, other.say(session))

    with pytest.raises(asyncpg.PostgresError, match="the session is archived"):
        await saying
    assert await chat.messages(session) == []


async def test_a_retry_that_meets_its_first_try_is_one_message(chat: Chat) -> None:
    session = await chat.ada.start_session()
    other = chat.browser(chat.ada.who)

    async with session_held(chat, session):
        tasks = [
            await blocked(chat, who, who.say(session, client_id="c1")) for who in (chat.ada, other)
        ]
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(isinstance(r, asyncpg.UniqueViolationError) for r in results) == 1
    assert await chat.statuses(session) == ["ready"]


async def test_an_explicit_parent_that_is_being_deleted_is_refused(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    other = chat.browser(chat.ada.who)

    async with session_held(chat, reply["session_id"]):
        saying = other.say(reply["session_id"], "M2", parent_id=reply["id"])
        saying_task = await blocked(chat, other, saying)
        deleting = await blocked(chat, chat.ada, chat.ada.delete("messages", reply["id"]))

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await saying_task
    assert await deleting == 1


async def test_a_branch_never_hangs_on_a_message_that_is_being_deleted(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    other = chat.browser(chat.ada.who)

    async with chat.ada.transaction() as connection:
        await connection.execute("delete from public.messages where id = $1", reply["id"])
        saying = await blocked(chat, other, other.say(reply["session_id"], "M2"))

    assert (await chat.message(await saying))["parent_id"] == UUID(claim["message_id"])


async def _answered(chat: Chat) -> Claim:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    return claim
