"""Chat sessions: made, listed page by page, renamed, archived and deleted by their owner."""

import asyncpg
import pytest

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.worker import call, delta


async def test_a_session_needs_nothing_but_a_title(chat: Chat) -> None:
    row = await chat.ada.insert("chat_sessions", title="The crypt")

    assert (row["user_id"], row["status"], row["while_running"]) == (
        chat.ada.who.sub,
        "active",
        "wait",
    )
    assert row["assistant_id"] == DEMO_ASSISTANT
    assert (row["metadata"], row["head_id"]) == ({}, None)


async def test_without_a_default_assistant_the_refusal_says_what_to_do(chat: Chat) -> None:
    await chat.configure(default_assistant_id=None)

    with pytest.raises(asyncpg.NotNullViolationError, match="no default assistant") as refused:
        await chat.ada.start_session()

    assert "default_assistant_id" in str(refused.value.hint)


@pytest.mark.parametrize("title", ["", "x" * 201])
async def test_a_title_has_1_to_200_characters(empty_chat: Chat, title: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await empty_chat.ada.start_session(title)


@pytest.mark.parametrize("metadata", [[], "x", 1, {"k": "x" * 16400}])
async def test_metadata_is_an_object_of_at_most_16_kb(empty_chat: Chat, metadata: object) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await empty_chat.ada.start_session(metadata=metadata)


async def test_sessions_are_listed_by_their_newest_message_a_page_at_a_time(chat: Chat) -> None:
    sessions = [await chat.ada.start_session(str(number)) for number in range(5)]
    await chat.bob.start_session("not Ada's")
    await chat.ada.say(sessions[1])
    page = (
        "select id, last_message_at from public.chat_sessions"
        " where (last_message_at, id) < ($1, $2)"
        " order by last_message_at desc, id desc limit 2"
    )

    first = await chat.ada.fetch(page.replace("($1, $2)", "('infinity', $1)"), DEMO_ASSISTANT)
    second = await chat.ada.fetch(page, first[-1]["last_message_at"], first[-1]["id"])
    third = await chat.ada.fetch(page, second[-1]["last_message_at"], second[-1]["id"])

    listed = [row["id"] for row in [*first, *second, *third]]
    assert listed == [sessions[number] for number in (1, 4, 3, 2, 0)]


async def test_the_owner_changes_title_status_and_metadata(chat: Chat) -> None:
    session = await chat.ada.start_session()
    before = await chat.session(session)

    changed = await chat.ada.fetch(
        "update public.chat_sessions set title = 'Renamed', status = 'archived', metadata = $2"
        " where id = $1 returning *",
        session,
        {"pinned": True},
    )

    assert [(row["title"], row["status"], row["metadata"]) for row in changed] == [
        ("Renamed", "archived", {"pinned": True})
    ]
    assert changed[0]["updated_at"] > before["updated_at"]
    assert changed[0]["last_message_at"] == before["last_message_at"]


async def test_an_unknown_status_is_refused(chat: Chat) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.change(
            "update public.chat_sessions set status = 'deleted' where id = $1", session
        )


async def test_an_archived_session_takes_no_message_and_can_be_opened_again(chat: Chat) -> None:
    session = await chat.ada.start_session()
    status = "update public.chat_sessions set status = $2 where id = $1"
    await chat.ada.change(status, session, "archived")

    with pytest.raises(asyncpg.PostgresError, match="the session is archived") as refused:
        await chat.ada.say(session)
    await chat.ada.change(status, session, "active")
    await chat.ada.say(session)

    assert refused.value.sqlstate == "PT409"
    assert len(await chat.messages(session)) == 1


async def test_a_run_of_a_session_that_is_archived_meanwhile_still_ends(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.change("update public.chat_sessions set status = 'archived'")

    assert (await chat.worker.finish(claim))["state"] == "stored"


async def test_nobody_answers_an_archived_message_again(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)
    await chat.ada.change("update public.chat_sessions set status = 'archived'")

    with pytest.raises(asyncpg.PostgresError) as refused:
        await chat.ada.regenerate(claim["message_id"])

    assert refused.value.sqlstate == "PT409"


async def test_deleting_a_session_takes_all_that_hangs_on_it_and_nothing_else(chat: Chat) -> None:
    other = await chat.claimed("Stays")
    claim = await chat.claimed("Goes")
    for held in (other, claim):
        said = await chat.worker.say(held, "Rolling")
        await chat.worker.checkpoint(held, [call(0, "a", output=7)])
        await chat.worker.flush(held, delta(1, said, "Rolling"))
    await chat.ada.say(claim["session_id"], "Also goes")

    assert await chat.ada.delete("chat_sessions", claim["session_id"]) == 1

    for table, key in {
        "chat_sessions": "id",
        "messages": "session_id",
        "engine.runs": "session_id",
        "engine.run_steps": "run_id",
        "engine.events": "run_id",
    }.items():
        left = await chat.admin.fetch(f"select distinct {key}::text from {table}")
        wanted = other["run_id" if key == "run_id" else "session_id"]
        assert [row[0] for row in left] == [wanted], table


async def test_for_its_worker_a_deleted_session_is_a_normal_end(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.delete("chat_sessions", claim["session_id"])

    assert await chat.worker.finish(claim) == {"state": "gone"}
    assert await chat.worker.fail(claim) == {"state": "gone"}
    assert await chat.worker.release(claim) == {"state": "gone"}
    assert await chat.worker.checkpoint(claim, [call(0, "a", output=1)]) == {"state": "gone"}
    assert await chat.worker.park(claim, "a") == {"state": "gone"}
    assert await chat.worker.history(claim) is None
    assert (await chat.worker.heartbeat(claim))["lost"] == [claim["run_id"]]
    assert (await chat.worker.flush(claim))["lost"] == [claim["run_id"]]


async def test_a_deep_session_is_deleted_whole(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute(
        "do $$ begin for n in 1..500 loop insert into messages (session_id, content, starts_run)"
        f""" values ('{session}', '"line"', false); end loop; end $$"""
    )

    assert len(await chat.path(session)) == 500
    assert await chat.ada.delete("chat_sessions", session) == 1
    assert await chat.messages(session) == []
