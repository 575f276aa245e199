"""Workers, the reaper and cancellations that meet: one of them wins, and the others are told."""

from uuid import UUID

from tests.support.chat import Chat
from tests.support.races import blocked, session_held
from tests.support.worker import delta


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
