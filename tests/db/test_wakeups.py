"""Wake-ups: hints that are sent at the commit, may be skipped, and never fail a write."""

import pytest

from tests.support.chat import Chat
from tests.support.listener import Listener


@pytest.fixture
async def listener(chat: Chat) -> Listener:
    made = Listener(await chat.line().open(), "assistants_wake")
    await made.start()
    return made


async def test_a_message_wakes_the_workers_when_it_is_committed_and_not_before(
    chat: Chat, listener: Listener
) -> None:
    session = await chat.ada.start_session()

    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", session, "Hello"
        )
        assert await listener.heard() == []

    assert await listener.heard() == ["run"]


async def test_a_message_that_waits_for_its_turn_wakes_nobody(
    chat: Chat, listener: Listener
) -> None:
    claim = await chat.claimed()
    await listener.heard()

    await chat.ada.say(claim["session_id"], "M2")
    assert await listener.heard() == []
    await chat.worker.finish(claim)

    assert await listener.heard() == ["run"]


async def test_many_messages_of_one_transaction_wake_the_workers_once(
    chat: Chat, listener: Listener
) -> None:
    async with chat.ada.transaction() as connection:
        for _ in range(3):
            session = await connection.fetchval(
                "insert into public.chat_sessions (title) values ('x') returning id"
            )
            await connection.execute(
                "insert into public.messages (session_id, content) values ($1, $2)", session, "x"
            )

    assert await listener.heard() == ["run"]


async def test_while_one_transaction_pays_for_the_wake_up_the_others_need_not(
    chat: Chat, listener: Listener
) -> None:
    first, second = await chat.ada.start_session(), await chat.bob.start_session()

    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)", first, "x"
        )
        await chat.bob.say(second)
        assert await listener.heard() == []

    assert await listener.heard() == ["run"]
    assert len(await chat.worker.claim()) == 2


async def test_cancelling_tells_the_worker_which_run(chat: Chat, listener: Listener) -> None:
    claim = await chat.claimed()
    await listener.heard()

    await chat.ada.cancel(claim["run_id"])

    assert await listener.heard() == [f"cancel:{claim['run_id']}"]


@pytest.mark.parametrize("what", ["release", "outputs", "regenerate"])
async def test_whatever_makes_a_run_ready_wakes_the_workers(
    chat: Chat, listener: Listener, what: str
) -> None:
    claim = await chat.claimed()
    if what == "outputs":
        await chat.worker.park(claim, "a")
    elif what == "regenerate":
        await chat.worker.finish(claim)
    await listener.heard()

    if what == "release":
        await chat.worker.release(claim)
    elif what == "outputs":
        await chat.ada.submit(claim["run_id"], [{"call_id": "a", "output": 1}])
    else:
        await chat.ada.regenerate(claim["message_id"])

    assert await listener.heard() == ["run"]


async def test_a_failing_wake_up_does_not_fail_the_message(chat: Chat, listener: Listener) -> None:
    await chat.admin.execute("revoke execute on function pg_catalog.pg_notify from public")
    session = await chat.ada.start_session()

    await chat.ada.say(session)

    assert await listener.heard() == []
    assert await chat.statuses(session) == ["ready"]
    assert len(await chat.worker.claim()) == 1
