"""Messages: what a browser's insert becomes, and how a session is read."""

from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import user
from tests.support.worker import text

_FILL = (
    "insert into messages (session_id, content, starts_run)"
    " select $1, to_jsonb('line ' || n), false from generate_series(1, $2::int) as n"
)


async def test_role_owner_order_and_time_come_from_the_database(chat: Chat) -> None:
    session = await chat.ada.start_session()

    row = await chat.ada.insert("messages", session_id=session, content="Hello")

    assert (row["role"], row["user_id"], row["status"]) == ("user", chat.ada.who.sub, "completed")
    assert (row["parent_id"], row["run_id"], row["starts_run"]) == (None, None, True)
    assert row["content"] == text("Hello")
    assert row["position"] > 0
    assert row["updated_at"] == row["created_at"]


async def test_owner_and_organisation_are_the_sessions_whoever_writes(chat: Chat) -> None:
    session = await chat.browser(user("user_2ada", org_id="org_1")).start_session()

    await chat.browser(user("user_2bob", org_id="org_1")).say(session)
    await chat.worker.finish(await chat.worker.claim_one())

    rows = [*await chat.messages(session), *await chat.runs(session)]
    assert {(row["user_id"], row["org_id"]) for row in rows} == {("user_2ada", "org_1")}
    assert len(rows) == 3


async def test_a_list_of_parts_is_kept_as_it_is(empty_chat: Chat) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "file_id": "file_1", "detail": "low"},
        {"type": "image", "url": "https://example.com/a.png"},
        {"type": "file", "file_id": "file_2", "name": "map.pdf"},
    ]

    message = await empty_chat.ada.say(await empty_chat.ada.start_session(), parts)

    assert (await empty_chat.message(message))["content"] == parts


@pytest.mark.parametrize("words", ["", " \n\t\r ", [], [{"type": "text", "text": " "}]])
async def test_an_empty_message_is_refused(empty_chat: Chat, words: object) -> None:
    session = await empty_chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError, match="the message is empty"):
        await empty_chat.ada.say(session, words)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "tool_call", "call_id": "a", "name": "roll", "arguments": {}},
        {"type": "tool_result", "call_id": "a", "output": 1},
        {"type": "reasoning", "text": "hm"},
        {"type": "citation", "text": "so it is written"},
    ],
    ids=lambda part: part["type"],
)
async def test_a_user_cannot_say_what_only_the_assistant_says(
    empty_chat: Chat, part: dict[str, object]
) -> None:
    session = await empty_chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError, match="text, image and file parts only"):
        await empty_chat.ada.say(session, [{"type": "text", "text": "x"}, part])


async def test_a_message_over_256_kb_is_refused_whole(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "x" * 262_000)

    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.say(session, "x" * 262_144)

    assert [run["status"] for run in await chat.runs(session)] == ["ready"]


async def test_a_retry_with_the_same_client_id_is_refused_and_changes_nothing(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, client_id="c1")
    before = await _everything(chat)

    with pytest.raises(asyncpg.UniqueViolationError):
        await chat.ada.say(session, client_id="c1")

    assert await _everything(chat) == before


async def test_a_skipped_conflict_changes_nothing(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, client_id="c1")
    before = await _everything(chat)

    written = await chat.ada.change(
        "insert into public.messages (session_id, content, client_id) values ($1, $2, 'c1')"
        " on conflict (session_id, client_id) do nothing",
        session,
        "Hello",
    )

    assert written == 0
    assert await _everything(chat) == before


async def test_what_follows_a_skipped_conflict_in_its_statement_is_written(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "first", client_id="c1")
    await chat.worker.finish(await chat.worker.claim_one(), "reply")

    written = await chat.ada.change(
        "insert into public.messages (session_id, content, client_id)"
        """ values ($1, '"first"', 'c1'), ($1, '"second"', 'c2') on conflict do nothing""",
        session,
    )

    assert written == 1
    assert await chat.path(session) == ["first", "reply", "second"]
    assert await chat.statuses(session) == ["completed", "ready"]


async def test_the_same_client_id_in_two_sessions_is_two_messages(chat: Chat) -> None:
    one, other = await chat.ada.start_session(), await chat.ada.start_session()

    await chat.ada.say(one, client_id="c1")
    await chat.ada.say(other, client_id="c1")

    assert len(await chat.messages(one)) == len(await chat.messages(other)) == 1


async def test_a_page_by_position_is_read_both_ways(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute(_FILL, session, 7)
    positions = [row["position"] for row in await chat.messages(session)]
    page = "select position from public.messages where session_id = $1 and position"

    newest = await chat.ada.fetch(
        f"{page} < $2 order by position desc limit 3", session, positions[5]
    )
    oldest = await chat.ada.fetch(f"{page} > $2 order by position limit 3", session, positions[1])

    assert [row[0] for row in newest] == [positions[4], positions[3], positions[2]]
    assert [row[0] for row in oldest] == [positions[2], positions[3], positions[4]]


async def test_a_page_of_another_users_session_is_empty(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute(_FILL, session, 3)

    rows = await chat.bob.fetch("select from public.messages where session_id = $1", session)

    assert rows == []


async def test_a_parent_in_another_session_is_refused_even_to_the_owner_of_the_tables(
    chat: Chat,
) -> None:
    here, there = await chat.ada.start_session(), await chat.ada.start_session()
    parent = await chat.ada.say(there)
    message = await chat.ada.say(here)

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.admin.execute(
            "update messages set parent_id = $1 where id = $2", parent, message
        )


async def test_a_message_never_moves_to_another_owner_than_its_session(chat: Chat) -> None:
    message = await chat.ada.say(await chat.ada.start_session())

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.admin.execute("update messages set user_id = 'user_2bob' where id = $1", message)


async def test_an_id_chosen_by_the_browser_is_refused(empty_chat: Chat) -> None:
    session = await empty_chat.ada.start_session()

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await empty_chat.ada.say(session, id=uuid4())


async def _everything(chat: Chat) -> list[list[object]]:
    tables = ("chat_sessions", "messages", "engine.runs", "engine.events")
    return [await chat.admin.fetch(f"select * from {table} order by 1") for table in tables]
