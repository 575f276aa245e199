"""The last place goes to one of several that come at the same time, and nobody waits for long."""

import asyncio
from contextlib import suppress
from itertools import chain
from uuid import UUID

import asyncpg
import pytest

from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.identities import ADA, user
from tests.support.races import blocked, session_held
from tests.support.refusals import read

INSERT = "insert into public.messages (session_id, content) values ($1, '\"Hello\"')"


def member(chat: Chat, name: str) -> Browser:
    return chat.browser(user(f"user_{name}", org_id="org_1"))


@pytest.mark.parametrize("limit", ["user_messages_per_minute", "user_open_runs"])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
async def test_who_comes_second_for_the_last_place_waits_for_how_the_first_one_ends(
    chat: Chat, limit: str, ends: str
) -> None:
    await chat.configure(**{limit: 2})
    sessions = [await chat.ada.start_session() for _ in range(3)]
    await chat.ada.say(sessions[0])
    other = chat.browser(ADA)

    with suppress(ZeroDivisionError):
        async with chat.ada.transaction() as connection:
            await connection.execute(INSERT, sessions[1])
            second = await blocked(chat, other, other.say(sessions[2]))
            if ends == "rollback":
                raise ZeroDivisionError

    (outcome,) = await asyncio.gather(second, return_exceptions=True)
    if ends == "commit":
        assert isinstance(outcome, asyncpg.PostgresError)
        assert read(outcome).limit == limit
    else:
        assert isinstance(outcome, UUID)
    assert await chat.admin.fetchval("select count(*) from engine.runs") == 2


@pytest.mark.parametrize("limit", ["org_messages_per_minute", "org_open_runs"])
async def test_of_two_members_one_gets_the_organisations_last_place(chat: Chat, limit: str) -> None:
    await chat.configure(**{limit: 1})
    ada, bob = member(chat, "ada"), member(chat, "bob")
    mine, theirs = await ada.start_session(), await bob.start_session()

    async with ada.transaction() as connection:
        await connection.execute(INSERT, mine)
        second = await blocked(chat, bob, bob.say(theirs))

    with pytest.raises(asyncpg.PostgresError) as refusal:
        await second
    assert read(refusal.value).limit == limit
    assert (await chat.messages(theirs), await chat.runs(theirs)) == ([], [])


@pytest.mark.parametrize("limit", ["user_messages_per_minute", "user_open_runs"])
async def test_of_twelve_at_once_as_many_as_there_are_places_are_admitted(
    chat: Chat, limit: str
) -> None:
    await chat.configure(**{limit: 5})
    browsers = [chat.browser(ADA) for _ in range(12)]
    sessions = [await browser.start_session() for browser in browsers]

    said = await asyncio.gather(
        *(browser.say(session) for browser, session in zip(browsers, sessions, strict=True)),
        return_exceptions=True,
    )

    refusals = [it for it in said if isinstance(it, asyncpg.PostgresError)]
    assert [read(it).limit for it in refusals] == [limit] * 7
    assert await chat.admin.fetchval("select count(*) from engine.runs") == 5


async def test_members_at_once_share_exactly_the_places_and_none_is_deadlocked(
    chat: Chat,
) -> None:
    await chat.configure(org_messages_per_minute=20)
    browsers = [member(chat, f"{number}") for number in range(8)]
    sessions = [await browser.start_session() for browser in browsers]

    async def talk(browser: Browser, session: UUID) -> list[str]:
        refused = []
        for _ in range(4):
            try:
                await browser.say(session)
            except asyncpg.PostgresError as error:
                refused.append(read(error).limit)
        return refused

    told = await asyncio.gather(*map(talk, browsers, sessions))

    assert list(chain.from_iterable(told)) == ["org_messages_per_minute"] * 12
    assert await chat.admin.fetchval("select count(*) from public.messages") == 20


async def test_a_member_who_waits_for_a_session_holds_nobody_up(chat: Chat) -> None:
    ada, bob = member(chat, "ada"), member(chat, "bob")
    session = await ada.start_session()

    async with session_held(chat, session):
        waiting = await blocked(chat, ada, ada.say(session))
        await bob.say(await bob.start_session())

    await waiting


async def test_a_member_who_waits_for_a_run_holds_nobody_up(chat: Chat) -> None:
    ada, bob = member(chat, "ada"), member(chat, "bob")
    session = await ada.start_session(while_running="supersede")
    await ada.say(session)
    await bob.say(await bob.start_session())

    holder = await chat.line().open()
    async with holder.transaction():
        await holder.execute("select from engine.runs where session_id = $1 for update", session)
        waiting = await blocked(chat, ada, ada.say(session))
        await bob.say(await bob.start_session())

    await waiting


async def test_one_user_never_waits_for_another(chat: Chat) -> None:
    mine, theirs = await chat.ada.start_session(), await chat.bob.start_session()
    await chat.bob.say(theirs)

    async with chat.ada.transaction() as connection:
        await connection.execute(INSERT, mine)
        await chat.bob.say(theirs)


async def test_a_deadlock_between_sessions_of_one_transaction_is_found_as_before(
    chat: Chat,
) -> None:
    """Two sessions in one transaction, in two orders: PostgREST has no such transactions."""
    sessions = [await chat.ada.start_session() for _ in range(2)]
    other = chat.browser(ADA)

    async with chat.ada.transaction() as connection:
        await connection.execute(INSERT, sessions[0])
        second = await blocked(chat, other, other.say(sessions[1]))
        first = connection.execute(INSERT, sessions[1])
        ends = await asyncio.gather(first, second, return_exceptions=True)

    assert sum(isinstance(end, asyncpg.DeadlockDetectedError) for end in ends) == 1


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_a_stricter_isolation_lets_nobody_slip_in(chat: Chat, isolation: str) -> None:
    await chat.configure(user_open_runs=2)
    sessions = [await chat.ada.start_session() for _ in range(3)]
    await chat.ada.say(sessions[0])
    other = chat.browser(ADA)
    connection = await other.line.open()

    async with connection.transaction(isolation=isolation):
        await connection.fetch("select from pg_catalog.pg_class limit 1")
        await chat.ada.say(sessions[1])
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await other.say(sessions[2])

    assert refusal.value.sqlstate in {"PGRST", "40001"}
    assert await chat.admin.fetchval("select count(*) from engine.runs") == 2


async def test_housekeeping_takes_no_place_away_from_under_an_insert(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1)
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    await chat.let_time_pass(86400)

    async with chat.worker.transaction():
        assert (await chat.worker.call("purge", 10))["admissions"] == 1
        saying = await blocked(chat, chat.ada, chat.ada.say(session))
    await saying

    other = chat.browser(ADA)
    await chat.let_time_pass(86400)
    async with chat.ada.transaction() as connection:
        await connection.execute(INSERT, session)
        assert (await chat.worker.call("purge", 10))["admissions"] == 0
    with pytest.raises(asyncpg.PostgresError):
        await other.say(session)
