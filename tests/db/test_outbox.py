"""The outbox: a browser's user message and its run commit together, once, or not at all."""

from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, SERVICE
from tests.support.worker import text


async def test_a_users_message_starts_one_run_that_answers_it(chat: Chat) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session)

    (run,) = await chat.runs(session)

    assert (run["message_id"], run["origin"], run["status"]) == (message, "insert", "ready")
    assert (run["fence"], run["failures"], run["model"]) == (0, 0, "offline:demo")
    assert run["user_id"] == ADA.sub


async def test_a_message_is_never_answered_by_two_runs_of_its_insert(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session)

    with pytest.raises(asyncpg.UniqueViolationError, match="runs_message_id_idx"):
        await chat.admin.execute(
            "insert into engine.runs (session_id, user_id, message_id, model, origin, status)"
            " select session_id, user_id, message_id, model, 'insert', 'waiting' from engine.runs"
        )


@pytest.mark.parametrize("origin", ["api", "schedule", "regenerate"])
async def test_runs_that_are_made_explicitly_may_answer_a_message_again(
    chat: Chat, origin: str
) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)

    await chat.admin.execute(
        "insert into engine.runs (session_id, user_id, message_id, model, origin, status)"
        " select session_id, user_id, message_id, model, $1, 'ready' from engine.runs",
        origin,
    )

    assert [c["origin"] for c in await chat.worker.claim()] == [origin]


async def test_a_run_of_unknown_origin_or_state_is_refused(chat: Chat) -> None:
    await chat.ada.say(await chat.ada.start_session())

    for column in ("origin", "status"):
        with pytest.raises(asyncpg.CheckViolationError):
            await chat.admin.execute(f"update engine.runs set {column} = 'superseded'")


async def test_a_message_that_is_rolled_back_leaves_no_run(chat: Chat) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.DivisionByZeroError):
        await _say_and_break_off(chat, session)

    assert await chat.runs(session) == []
    assert await chat.messages(session) == []


async def test_a_failing_outbox_insert_fails_the_message(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute("alter table engine.runs add constraint full_disk check (false)")

    with pytest.raises(asyncpg.CheckViolationError, match="full_disk"):
        await chat.ada.say(session)

    assert await chat.messages(session) == []
    assert (await chat.session(session))["head_id"] is None


async def test_starts_run_false_starts_nothing_and_moves_the_head(chat: Chat) -> None:
    session = await chat.ada.start_session()
    service = chat.browser(SERVICE)

    imported = await service.say(session, "imported", starts_run=False)

    assert await chat.runs(session) == []
    assert (await chat.session(session))["head_id"] == imported


async def test_a_reply_written_by_the_service_starts_nothing(chat: Chat) -> None:
    session = await chat.ada.start_session()
    service = chat.browser(SERVICE)

    reply = await service.say(session, text("imported"), role="assistant")

    assert await chat.runs(session) == []
    assert (await chat.session(session))["head_id"] == reply


async def test_the_service_may_write_to_any_session_for_its_owner(chat: Chat) -> None:
    session = await chat.ada.start_session()

    row = await chat.browser(SERVICE).insert(
        "messages", session_id=session, content="imported", starts_run=False
    )

    assert row["user_id"] == ADA.sub


async def test_one_statement_of_a_browser_touches_one_session(chat: Chat) -> None:
    sessions = [await chat.ada.start_session(), await chat.ada.start_session()]

    with pytest.raises(asyncpg.CheckViolationError, match="touches one session"):
        await chat.ada.change(
            "insert into public.messages (session_id, content)"
            """ select s, '"Hello"' from unnest($1::uuid[]) as s""",
            sessions,
        )

    assert [await chat.messages(session) for session in sessions] == [[], []]


async def test_one_deletion_of_a_browser_touches_one_session(chat: Chat) -> None:
    sessions = [await chat.ada.start_session(), await chat.ada.start_session()]
    for session in sessions:
        await chat.ada.say(session)

    with pytest.raises(asyncpg.CheckViolationError, match="touches one session"):
        await chat.ada.change("delete from public.messages")

    assert [len(await chat.messages(session)) for session in sessions] == [1, 1]


async def test_two_statements_of_one_transaction_may_touch_two_sessions(chat: Chat) -> None:
    sessions = [await chat.ada.start_session(), await chat.ada.start_session()]

    async with chat.ada.transaction() as connection:
        for session in sessions:
            await connection.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
            )

    assert [await chat.statuses(session) for session in sessions] == [["ready"], ["ready"]]


async def test_the_owner_of_the_tables_writes_to_many_sessions_at_once(chat: Chat) -> None:
    sessions = [await chat.ada.start_session() for _ in range(20)]

    await _insert_as_owner(chat, [*sessions, *sessions])

    for session in sessions:
        assert await chat.statuses(session) == ["ready", "waiting"]
    assert len(await chat.worker.claim(limit=100)) == 20


async def test_a_burst_in_one_transaction_is_claimed_only_after_its_commit(chat: Chat) -> None:
    session = await chat.ada.start_session()

    async with chat.ada.transaction() as connection:
        for words in ("a", "b", "c"):
            await connection.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, words
            )
        assert await chat.worker.claim() == []

    assert await chat.statuses(session) == ["ready", "waiting", "waiting"]


async def test_the_run_keeps_the_model_of_the_moment_when_it_was_asked(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    await chat.admin.execute("update assistants set model = 'offline:later'")

    (run,) = await chat.runs(session)

    assert run["model"] == "offline:demo"


async def _say_and_break_off(chat: Chat, session: UUID) -> None:
    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
        )
        await connection.execute("select 1 / 0")


async def _insert_as_owner(chat: Chat, sessions: list[UUID]) -> None:
    owner = await chat.line("postgres").open()
    await owner.execute(
        "insert into public.messages (session_id, content)"
        """ select s, '"Hello"' from unnest($1::uuid[]) as s""",
        sessions,
    )
