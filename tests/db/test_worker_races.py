"""Workers, the reaper and cancellations that meet: one of them wins, and the others are told."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.races import blocked, session_held
from tests.support.worker import Worker, delta


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

    assert (heard["lost"], heard["busy"]) == ([], [])
    assert len(claimed) == 1
    assert reaped == {"retried": 0, "ended": 0, "postponed": 0}
    assert [(await chat.run(c["run_id"]))["status"] for c in claims] == ["running"] * 3


async def test_a_heartbeat_waits_for_nobody_and_says_what_it_could_not_extend(
    chat: Chat,
) -> None:
    taken, kept = await chat.claimed(), await chat.claimed()
    await chat.let_leases_expire()
    await chat.worker.heartbeat(kept)
    reaper = chat.new_worker("reaper")

    async with reaper.transaction():
        assert (await reaper.reap())["retried"] == 1
        during = await chat.worker.heartbeat(taken, kept)
    afterwards = await chat.worker.heartbeat(taken, kept)

    assert (during["busy"], during["lost"]) == ([taken["run_id"]], [])
    assert (afterwards["busy"], afterwards["lost"]) == ([], [taken["run_id"]])


async def test_a_flush_waits_for_nobody_and_says_what_it_could_not_store(chat: Chat) -> None:
    changing, streaming = await chat.claimed(), await chat.claimed()
    finisher = chat.new_worker(chat.worker.name)
    batch = [
        {"run_id": c["run_id"], "fence": c["fence"], "events": [delta(1, UUID(int=7), "x")]}
        for c in (changing, streaming)
    ]

    async with finisher.transaction():
        await finisher.finish(changing)
        answer = await chat.worker.call("flush_events", chat.worker.name, batch)

    assert answer == {"lost": [], "busy": [changing["run_id"]]}
    assert await chat.events(streaming["run_id"]) == [(1, "message.delta")]
    assert await chat.events(changing["run_id"]) == [(1, "run.completed")]


@pytest.mark.parametrize("what", ["finish", "checkpoint", "park", "release", "fail"])
async def test_a_worker_gives_up_soon_on_a_session_that_somebody_holds_and_may_try_again(
    chat: Chat, what: str
) -> None:
    claim = await chat.claimed()
    limits = {"lock_timeout": "0", "statement_timeout": "5s"}
    worker = Worker(chat.line(role="assistants_engine", **limits), chat.worker.name)
    acts: dict[str, Any] = {
        "finish": lambda: worker.finish(claim),
        "checkpoint": lambda: worker.checkpoint(claim),
        "park": lambda: worker.park(claim, "a"),
        "release": lambda: worker.release(claim),
        "fail": lambda: worker.fail(claim),
    }

    async with chat.ada.transaction() as connection:
        await connection.execute("update public.chat_sessions set title = 'Renamed'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await acts[what]()

    assert (await acts[what]())["state"] in {"stored", "retrying"}


async def test_a_flush_under_way_comes_before_the_terminal_event(chat: Chat) -> None:
    claim = await chat.claimed()
    flusher = chat.new_worker(chat.worker.name)
    message = UUID(int=7)

    async with flusher.transaction():
        await flusher.flush(claim, delta(1, message, "A door"))
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim))
    await finishing

    assert await chat.events(claim["run_id"]) == [(1, "message.delta"), (2, "run.completed")]


async def test_a_cancel_and_a_finish_at_once_leave_one_outcome(chat: Chat) -> None:
    claim = await chat.claimed()

    async with session_held(chat, claim["session_id"]):
        cancelling = await blocked(chat, chat.ada, chat.ada.cancel(UUID(claim["run_id"])))
        finishing = await blocked(chat, chat.worker, chat.worker.finish(claim, "R1"))
    await cancelling

    assert (await finishing)["status"] == "cancelled"
    assert len(await chat.messages(claim["session_id"])) == 2


async def test_a_lease_extended_while_the_reaper_is_at_work_is_left_alone(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    first, second = await chat.claimed(), await chat.claimed()
    await chat.ada.say(first["session_id"], "waits")
    await chat.let_leases_expire()
    reaper = chat.new_worker("reaper")
    connection = await chat.line().open()

    # The first session's promotion needs its waiting run; the second is a candidate by then.
    async with connection.transaction():
        await connection.execute("select from engine.runs where status = 'waiting' for update")
        reaping = await blocked(chat, reaper, reaper.reap())
        assert (await chat.worker.heartbeat(second))["lost"] == []

    assert await reaping == {"retried": 0, "ended": 1, "postponed": 0}
    assert await chat.statuses(second["session_id"]) == ["running"]
