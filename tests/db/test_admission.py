"""How much a user may insert: what is over a limit leaves nothing behind."""

import asyncpg
import pytest

from tests.support.chat import LIMITS, Chat
from tests.support.identities import ADA, SERVICE, assume, user
from tests.support.refusals import refused

_COUNTS = "select array[count(*), (select count(*) from engine.runs)] from public.messages"


async def test_the_message_after_the_last_place_is_refused_and_leaves_nothing(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=3)
    session = await chat.ada.start_session()
    for _ in range(3):
        await chat.ada.say(session)
    before = await chat.session(session)

    refusal = await refused(chat.ada.say(session))

    assert (refusal.limit, refusal.wait_s) == ("user_messages_per_minute", 20)
    assert refusal.said == (
        "Too many messages: the limit is 3 a minute per user. Try again in 20 s."
    )
    assert await chat.admin.fetchval(_COUNTS) == [3, 3]
    assert await chat.session(session) == before


async def test_it_is_admitted_when_it_was_told_to_come_back_and_not_a_second_before(
    chat: Chat,
) -> None:
    await chat.configure(user_messages_per_minute=3)
    session = await chat.ada.start_session()
    for _ in range(3):
        await chat.ada.say(session)
    refusal = await refused(chat.ada.say(session))

    await chat.let_time_pass(refusal.wait_s - 1)
    assert (await refused(chat.ada.say(session))).wait_s == 1
    await chat.let_time_pass(1)
    await chat.ada.say(session)

    assert (await refused(chat.ada.say(session))).wait_s == 20


async def test_after_a_pause_there_are_as_many_places_as_at_first_and_no_more(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=3)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b", "c")

    await chat.let_time_pass(86400)
    await chat.ada.say_all(session, "d", "e", "f")

    assert (await refused(chat.ada.say(session))).wait_s == 20


@pytest.mark.parametrize("limit", [7, 9, 11, 60])
async def test_places_that_do_not_divide_a_minute_are_all_given(chat: Chat, limit: int) -> None:
    await chat.configure(user_messages_per_minute=limit)
    session = await chat.ada.start_session()
    for _ in range(limit):
        await chat.ada.say(session)

    await refused(chat.ada.say(session))


async def test_a_day_has_a_limit_of_its_own(chat: Chat) -> None:
    await chat.configure(user_messages_per_day=2)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b")
    await chat.let_time_pass(3600)

    refusal = await refused(chat.ada.say(session))

    assert (refusal.limit, refusal.wait_s) == ("user_messages_per_day", 86400 // 2 - 3600)


async def test_of_several_limits_the_one_that_takes_longest_is_named(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1, user_messages_per_day=1, user_open_runs=1)
    session = await chat.ada.start_session()
    await chat.ada.say(session)

    assert (await refused(chat.ada.say(session))).limit == "user_messages_per_day"


async def test_each_row_of_a_statement_counts_and_one_too_many_refuses_all(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=4)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b")

    refusal = await refused(chat.ada.say_all(session, "c", "d", "e"))

    assert refusal.wait_s == 15
    assert await chat.admin.fetchval(_COUNTS) == [2, 2]
    await chat.ada.say_all(session, "c", "d")


async def test_more_rows_at_once_than_are_ever_admitted_are_not_told_to_come_back(
    chat: Chat,
) -> None:
    await chat.configure(user_messages_per_minute=2)
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError, match="limit is 2 a minute per user"):
        await chat.ada.say_all(session, "a", "b", "c")


async def test_a_skipped_conflict_takes_no_place_not_even_where_there_is_none(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=2)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a")
    await chat.ada.say(session, client_id="once")

    for _ in range(3):
        again = await chat.ada.change(
            "insert into public.messages (session_id, content, client_id) values ($1, $2, $3)"
            " on conflict (session_id, client_id) do nothing",
            session,
            "Hello",
            "once",
        )
        assert again == 0
    await refused(chat.ada.say(session))


async def test_what_is_rolled_back_or_refused_for_other_reasons_takes_no_place(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1)
    session = await chat.ada.start_session()
    foreign = await chat.bob.start_session()
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.say(session, "")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.ada.say(foreign)
    connection = await chat.ada.line.open()
    transaction = connection.transaction()
    await transaction.start()
    await assume(connection, ADA)
    await connection.execute(
        "insert into public.messages (session_id, content) values ($1, $2)", session, "Hi"
    )
    await transaction.rollback()

    await chat.ada.say(session)


async def test_deleting_what_was_said_gives_no_place_back(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1)
    session = await chat.ada.start_session()
    await chat.ada.delete("messages", await chat.ada.say(session))
    await chat.ada.delete("chat_sessions", session)

    await refused(chat.ada.say(await chat.ada.start_session()))


async def test_a_user_without_a_place_is_so_in_every_session_and_others_are_not(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=1)
    await chat.ada.say(await chat.ada.start_session())

    await refused(chat.ada.say(await chat.ada.start_session()))
    await chat.bob.say(await chat.bob.start_session())


async def test_replies_and_the_words_of_a_cancelled_run_take_no_place(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=2)
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    await chat.ada.cancel((await chat.runs(session))[0]["id"])
    await chat.ada.say(session)
    await chat.worker.finish(await chat.worker.claim_one())

    assert len(await chat.messages(session)) == 4


async def test_the_service_and_imports_are_not_limited(chat: Chat) -> None:
    await chat.configure(**dict.fromkeys(LIMITS, 1))
    service = chat.browser(SERVICE)
    for _ in range(2):
        row = await service.insert("chat_sessions", user_id=ADA.sub, org_id="org_1", title="Old")
        for starts_run in (True, False):
            await service.say(row["id"], "Imported", role="user", starts_run=starts_run)

    assert await chat.admin.fetchval("select count(*) from engine.admissions") == 0


async def test_without_limits_nothing_is_refused_nor_counted(chat: Chat) -> None:
    await chat.configure(**dict.fromkeys(LIMITS))
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, *"abcdefghij" * 10)
    await chat.ada.insert("assistants", name="Mine")
    member = chat.browser(user("user_ada", org_id="org_1"))
    await member.say(await member.start_session())

    assert len(await chat.messages(session)) == 100
    assert await chat.admin.fetchval("select count(*) from engine.admissions") == 0


async def test_a_limit_that_is_lowered_or_raised_holds_from_the_next_statement_on(
    chat: Chat,
) -> None:
    await chat.configure(user_messages_per_minute=None)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b", "c")
    await chat.configure(user_messages_per_minute=1)
    await chat.ada.say(session)
    await refused(chat.ada.say(session))

    await chat.configure(user_messages_per_minute=60)

    assert (await refused(chat.ada.say(session))).wait_s == 1
    await chat.let_time_pass(1)
    await chat.ada.say(session)


@pytest.mark.parametrize("table", ["chat_sessions", "assistants"])
async def test_sessions_and_assistants_of_a_day_are_limited_one_by_one_and_at_once(
    chat: Chat, table: str
) -> None:
    limit, column = {
        "chat_sessions": ("user_sessions_per_day", "title"),
        "assistants": ("user_assistants_per_day", "name"),
    }[table]
    await chat.configure(**{limit: 2})
    for name in "ab":
        await chat.ada.insert(table, **{column: name})

    refusal = await refused(chat.ada.insert(table, **{column: "c"}))

    assert (refusal.limit, refusal.wait_s) == (limit, 86400 // 2)
    await chat.let_time_pass(86400)
    sql = f"insert into public.{table} ({column}) select * from unnest($1::text[])"
    with pytest.raises(asyncpg.CheckViolationError, match="limit is 2 a day per user"):
        await chat.ada.change(sql, ["a", "b", "c"])
    assert await chat.ada.change(sql, ["a", "b"]) == 2


async def test_each_kind_of_row_has_places_of_its_own(chat: Chat) -> None:
    await chat.configure(
        user_messages_per_day=1, user_sessions_per_day=1, user_assistants_per_day=1
    )
    await chat.ada.insert("assistants", name="Mine")
    session = await chat.ada.start_session()
    await chat.ada.say(session)

    limits = [
        (await refused(action)).limit
        for action in (
            chat.ada.insert("assistants", name="Mine"),
            chat.ada.start_session(),
            chat.ada.say(session),
        )
    ]

    assert limits == ["user_assistants_per_day", "user_sessions_per_day", "user_messages_per_day"]


async def test_housekeeping_forgets_who_has_all_places_again(chat: Chat) -> None:
    await chat.configure(user_sessions_per_day=10)
    await chat.ada.start_session()
    assert (await chat.worker.call("purge", 10))["admissions"] == 0

    await chat.let_time_pass(8641)
    await chat.bob.start_session()

    assert (await chat.worker.call("purge", 10))["admissions"] == 1
    assert await chat.admin.fetchval("select id from engine.admissions") == chat.bob.who.sub


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", [0, -1, 1000001])
async def test_a_limit_out_of_its_bounds_is_refused(chat: Chat, limit: str, value: int) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.configure(**{limit: value})
