"""Pairs of transactions that could deadlock or lose something, each forced into both orders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database
from tests.support.races import blocked, session_held
from tests.support.worker import Claim, delta


@pytest_asyncio.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    """Yield a project that finds a deadlock at once."""
    database.execute(f"alter database {database.name} set deadlock_timeout = '20ms'")
    async with AsyncExitStack() as stack:
        yield await open_chat(database, stack)


async def test_a_finish_that_comes_after_the_sessions_deletion_finds_it_gone(chat: Chat) -> None:
    claim = await chat.claimed()

    async with chat.ada.transaction() as connection:
        await connection.execute("delete from public.chat_sessions")
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim))

    assert await finishing == {"state": "gone"}
    assert await chat.messages(claim["session_id"]) == []


async def test_a_deletion_of_the_session_waits_for_the_finish_and_takes_its_row(
    chat: Chat,
) -> None:
    claim = await chat.claimed()
    session = UUID(claim["session_id"])

    async with chat.worker.transaction():
        assert (await chat.worker.finish(claim))["state"] == "stored"
        deleting = await blocked(chat, chat.ada, chat.ada.delete("chat_sessions", session))

    assert await deleting == 1
    assert await chat.messages(session) == []
    assert await chat.runs(session) == []


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_finish_and_deletion_of_the_session_queue_up_in_either_order(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed()
    session = UUID(claim["session_id"])

    async with session_held(chat, session):
        tasks = {}
        for name in (first, "delete" if first == "finish" else "finish"):
            if name == "finish":
                tasks[name] = await blocked(chat, chat.worker, chat.worker.finish(claim))
            else:
                deleting = chat.ada.delete("chat_sessions", session)
                tasks[name] = await blocked(chat, chat.ada, deleting)

    assert (await tasks["finish"])["state"] == ("stored" if first == "finish" else "gone")
    assert await tasks["delete"] == 1
    assert await chat.session(session) is None


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_finish_and_deletion_of_the_answered_message_lose_nothing(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed("M1")
    session, message = claim["session_id"], UUID(claim["message_id"])

    async with session_held(chat, session):
        # The deletion holds its message before it can have the session.
        if first == "finish":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
        deleting = await blocked(chat, chat.ada, chat.ada.delete("messages", message))
        if first == "delete":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))

    answer = await finishing
    assert await deleting == 1
    assert answer["status"] == ("completed" if first == "finish" else "cancelled")
    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["parent_id"], await chat.path(session)) == (None, ["R1"])
    assert (await chat.run(claim["run_id"]))["message_id"] is None


@pytest.mark.parametrize("first", ["finish", "delete"])
async def test_promotion_and_deletion_of_the_waiting_message_lose_nothing(
    chat: Chat, first: str
) -> None:
    claim = await chat.claimed("M1")
    session = UUID(claim["session_id"])
    second = await chat.ada.say(session, "M2")
    await chat.ada.say(session, "M3")

    async with session_held(chat, session):
        if first == "finish":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
        deleting = await blocked(chat, chat.ada, chat.ada.delete("messages", second))
        if first == "delete":
            finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))

    assert (await finishing)["status"] == "completed"
    assert await deleting == 1
    assert await chat.statuses(session) == ["completed", "cancelled", "ready"]
    skipped = (await chat.runs(session))[1]
    assert (await chat.outcome(skipped["id"]))["reason"] == "deleted"
    assert [said for said in await chat.path(session) if said] == ["M1", "R1", "M3"]


async def test_a_finish_after_the_reaper_is_lost(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.let_leases_expire()
    reaper = chat.new_worker("reaper")

    async with reaper.transaction():
        assert (await reaper.reap())["retried"] == 1
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim))

    assert await finishing == {"state": "lost"}
    assert await chat.statuses(claim["session_id"]) == ["ready"]


async def test_the_reaper_leaves_a_run_alone_whose_finish_is_under_way(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.let_leases_expire()
    reaper = chat.new_worker("reaper")

    async with chat.worker.transaction():
        assert (await chat.worker.finish(claim))["state"] == "stored"
        assert await reaper.reap() == {"retried": 0, "ended": 0, "postponed": 0}

    assert await chat.statuses(claim["session_id"]) == ["completed"]


async def test_two_reapers_take_a_run_back_once(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.let_leases_expire()
    reapers = [chat.new_worker("reaper_1"), chat.new_worker("reaper_2")]

    async with reapers[0].transaction():
        first = await reapers[0].reap()
        second = await reapers[1].reap()

    assert (first["retried"], second["retried"]) == (1, 0)
    assert (await chat.run(claim["run_id"]))["failures"] == 1


async def test_claim_reap_and_heartbeat_at_once_wait_for_nobody(chat: Chat) -> None:
    claims = [await chat.claimed() for _ in range(3)]
    await chat.let_leases_expire()
    await chat.ada.say(await chat.ada.start_session())
    other = chat.new_worker("worker_2")

    async with chat.worker.transaction():
        heard = await chat.worker.heartbeat(*claims)
        claimed = await other.claim()
        reaped = await other.reap()

    assert heard == {"lost": [], "cancelled": [], "expired": []}
    assert len(claimed) == 1
    assert reaped == {"retried": 0, "ended": 0, "postponed": 0}
    assert [(await chat.run(c["run_id"]))["status"] for c in claims] == ["running"] * 3


async def test_a_heartbeat_after_the_reaper_says_what_is_lost(chat: Chat) -> None:
    claims = [await chat.claimed() for _ in range(3)]
    await chat.let_leases_expire()
    reaper = chat.new_worker("reaper")

    async with reaper.transaction():
        await reaper.reap()
        beating = await blocked(chat, chat.worker, chat.worker.heartbeat(*claims))

    assert sorted((await beating)["lost"]) == sorted(claim["run_id"] for claim in claims)


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


async def test_a_cancel_and_a_finish_at_once_leave_one_outcome(chat: Chat) -> None:
    claim = await chat.claimed()

    async with session_held(chat, claim["session_id"]):
        cancelling = await blocked(chat, chat.ada, chat.ada.cancel(UUID(claim["run_id"])))
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
    await cancelling

    assert (await finishing)["status"] == "cancelled"
    assert len(await chat.messages(claim["session_id"])) == 2


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


async def test_a_flush_under_way_comes_before_the_terminal_event(chat: Chat) -> None:
    claim = await chat.claimed()
    flusher = chat.new_worker(chat.worker.name)
    message = UUID(int=7)

    async with flusher.transaction():
        await flusher.flush(claim, delta(1, message, "A door"))
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim))
    await finishing

    assert await chat.events(claim["run_id"]) == [(1, "message.delta"), (2, "run.completed")]


async def test_a_branch_never_hangs_on_a_message_that_is_being_deleted(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    other = chat.browser(chat.ada.who)

    async with chat.ada.transaction() as connection:
        await connection.execute("delete from public.messages where id = $1", reply["id"])
        saying = await blocked(chat, other, other.say(reply["session_id"], "M2"))

    assert (await chat.message(await saying))["parent_id"] == UUID(claim["message_id"])


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


async def test_parent_and_child_deleted_at_once_may_deadlock_and_lose_nothing(chat: Chat) -> None:
    claim = await _answered(chat)
    reply = await chat.outcome(claim["run_id"])
    other = chat.browser(chat.ada.who)

    async with session_held(chat, reply["session_id"]):
        parent = chat.ada.delete("messages", UUID(claim["message_id"]))
        tasks = [await blocked(chat, chat.ada, parent)]
        tasks.append(await blocked(chat, other, other.delete("messages", reply["id"])))
    results = await asyncio.gather(*tasks, return_exceptions=True)

    failed = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, asyncpg.DeadlockDetectedError) for error in failed)
    left = await chat.messages(reply["session_id"])
    assert len(left) == len(failed) <= 1
    assert await chat.path(reply["session_id"]) == [m["content"][0]["text"] for m in left]


async def _answered(chat: Chat) -> Claim:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "R1")
    return claim
