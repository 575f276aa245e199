"""Claims: who gets which run, and what the fence and the lease protect."""

from datetime import datetime
from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim, call, delta


async def test_a_claim_says_everything_that_a_worker_needs(chat: Chat) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session)

    claim = await chat.worker.claim_one()

    run = await chat.run(claim["run_id"])
    assert datetime.fromisoformat(claim.pop("expires_at")) == run["expires_at"]
    assert claim == {
        "run_id": str(run["id"]),
        "session_id": str(session),
        "user_id": chat.ada.who.sub,
        "org_id": None,
        "message_id": str(message),
        "assistant_id": str(run["assistant_id"]),
        "model": "offline:demo",
        "origin": "insert",
        "fence": 1,
        "failures": 0,
        "queued_no": run["queued_no"],
        "next_seq": 1,
        "next_ordinal": 0,
        "discarded_message_id": None,
    }
    assert (run["status"], run["worker"]) == ("running", "worker_1")


async def test_a_claimed_run_is_nobody_elses(chat: Chat) -> None:
    await chat.claimed()

    assert await chat.new_worker("worker_2").claim() == []


async def test_two_claims_at_the_same_time_share_no_run(chat: Chat) -> None:
    for _ in range(4):
        await chat.ada.say(await chat.ada.start_session())
    other = chat.new_worker("worker_2")

    async with chat.worker.transaction():
        mine = await chat.worker.claim(limit=2)
        theirs = await other.claim()

    assert len(mine) == len(theirs) == 2
    assert not {c["run_id"] for c in mine} & {c["run_id"] for c in theirs}


async def test_the_oldest_ready_run_comes_first_and_the_limit_holds(chat: Chat) -> None:
    sessions = [await chat.ada.start_session() for _ in range(5)]
    for session in sessions:
        await chat.ada.say(session)

    claims = [*await chat.worker.claim(limit=3), *await chat.worker.claim(limit=3)]

    assert [claim["session_id"] for claim in claims] == [str(session) for session in sessions]


async def test_a_higher_priority_comes_before_an_older_run(chat: Chat) -> None:
    sessions = [await chat.ada.start_session() for _ in range(2)]
    for session in sessions:
        await chat.ada.say(session)
    await chat.admin.execute(
        "update engine.runs set priority = -1 where session_id = $1", sessions[1]
    )

    claims = await chat.worker.claim(limit=1)

    assert [claim["session_id"] for claim in claims] == [str(sessions[1])]


async def test_a_run_that_must_wait_for_its_next_try_is_not_claimed(chat: Chat) -> None:
    await chat.ada.say(await chat.ada.start_session())
    await chat.admin.execute("update engine.runs set run_after = now() + interval '1 min'")

    assert await chat.worker.claim() == []


async def test_a_model_that_is_excluded_is_left_for_later(chat: Chat) -> None:
    await chat.ada.say(await chat.ada.start_session())

    assert await chat.worker.claim(excluded_models=["offline:demo"]) == []
    assert len(await chat.worker.claim(excluded_models=["openai:gpt"])) == 1


async def test_a_session_never_has_two_live_runs_whoever_writes(chat: Chat) -> None:
    await chat.claimed()

    with pytest.raises(asyncpg.UniqueViolationError, match="runs_live_idx"):
        await chat.admin.execute(
            "insert into engine.runs (session_id, user_id, model, origin, status)"
            " select session_id, user_id, model, 'api', 'ready' from engine.runs"
        )


@pytest.mark.parametrize("state", ["ready", "running", "cancelling", "requires_action"])
async def test_each_live_state_holds_the_sessions_one_slot(chat: Chat, state: str) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    if state != "ready":
        claim = await chat.worker.claim_one()
        if state == "cancelling":
            await chat.ada.cancel(claim["run_id"])
        elif state == "requires_action":
            await chat.worker.park(claim, "a")

    await chat.ada.say(session, "another")

    assert await chat.statuses(session) == [state, "waiting"]
    assert len(await chat.worker.claim()) == (state == "ready")


async def test_the_fence_grows_with_every_claim_and_is_never_reset(chat: Chat) -> None:
    claim = await chat.claimed()
    fences = [claim["fence"]]

    await chat.worker.checkpoint(claim, [call(0, "a", output=1)])
    await chat.worker.release(claim)
    claim = await chat.worker.claim_one()
    fences.append(claim["fence"])
    await chat.worker.fail(claim)
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    fences.append(claim["fence"])
    await chat.worker.finish(claim)

    assert fences == [1, 2, 3]
    assert (await chat.run(claim["run_id"]))["fence"] == 3


async def test_nothing_is_written_under_an_old_fence(chat: Chat) -> None:
    old = await chat.claimed()
    await chat.worker.release(old)
    held = await chat.worker.claim_one()
    before = await _written(chat)

    lost = {"state": "lost"}
    assert await chat.worker.finish(old) == lost
    assert await chat.worker.fail(old) == lost
    assert await chat.worker.checkpoint(old, [call(0, "a", output=1)]) == lost
    assert await chat.worker.park(old, "a") == lost
    assert await chat.worker.release(old) == lost
    assert (await chat.worker.flush(old, delta(1, uuid4(), "x")))["lost"] == [old["run_id"]]
    assert (await chat.worker.heartbeat(old))["lost"] == [old["run_id"]]
    assert await chat.worker.history(old) is None

    assert await _written(chat) == before
    assert (await chat.worker.finish(held))["state"] == "stored"


async def test_nothing_is_written_by_a_worker_of_another_name(chat: Chat) -> None:
    claim = await chat.claimed()
    thief = chat.new_worker("worker_2")
    before = await _written(chat)

    lost = {"state": "lost"}
    assert await thief.finish(claim) == lost
    assert await thief.fail(claim) == lost
    assert await thief.checkpoint(claim) == lost
    assert await thief.park(claim, "a") == lost
    assert await thief.release(claim) == lost
    assert (await thief.flush(claim, delta(1, uuid4(), "x")))["lost"] == [claim["run_id"]]
    assert (await thief.heartbeat(claim))["lost"] == [claim["run_id"]]
    assert await thief.history(claim) is None

    assert await _written(chat) == before


async def test_a_run_that_does_not_exist_is_gone(chat: Chat) -> None:
    claim = {"run_id": str(uuid4()), "fence": 1}

    assert await chat.worker.finish(claim) == {"state": "gone"}
    assert (await chat.worker.heartbeat(claim))["lost"] == [claim["run_id"]]


async def test_a_heartbeat_extends_the_leases_of_the_worker_alone(chat: Chat) -> None:
    mine = await chat.claimed()
    theirs = await chat.new_worker("worker_2").claim()
    await chat.ada.say(await chat.ada.start_session())
    theirs = await chat.new_worker("worker_2").claim()
    before = {run: (await chat.run(run))["lease_until"] for run in _ids(mine, *theirs)}

    answer = await chat.worker.heartbeat(mine, *theirs, lease_s=100)

    after = {run: (await chat.run(run))["lease_until"] for run in _ids(mine, *theirs)}
    assert answer == {
        "lost": _ids(*theirs),
        "busy": [],
        "cancelled": [],
        "expired": [],
    }
    assert (after[mine["run_id"]] - before[mine["run_id"]]).total_seconds() > 80
    assert after[theirs[0]["run_id"]] == before[theirs[0]["run_id"]]


async def test_a_heartbeat_names_the_runs_that_are_cancelled_or_over_their_time(
    chat: Chat,
) -> None:
    cancelled = await chat.claimed()
    overdue = await chat.claimed()
    await chat.ada.cancel(cancelled["run_id"])
    await chat.admin.execute(
        "update engine.runs set expires_at = now() - interval '1 s' where id = $1",
        overdue["run_id"],
    )

    answer = await chat.worker.heartbeat(cancelled, overdue)

    assert answer["cancelled"] == [{"run_id": cancelled["run_id"], "reason": "cancelled"}]
    assert answer["expired"] == [overdue["run_id"]]
    assert answer["lost"] == []


async def test_the_end_of_a_run_is_stored_once_however_often_it_is_sent(chat: Chat) -> None:
    claim = await chat.claimed()

    first = await chat.worker.finish(claim, "once")
    again = await chat.worker.finish(claim, "twice")

    assert (first["state"], again["state"]) == ("stored", "lost")
    assert [m["role"] for m in await chat.messages(claim["session_id"])] == ["user", "assistant"]
    assert await chat.events(claim["run_id"]) == [(1, "run.completed")]


def _ids(*claims: Claim) -> list[str]:
    return [claim["run_id"] for claim in claims]


async def _written(chat: Chat) -> list[object]:
    tables = ("engine.runs", "engine.run_steps", "engine.events", "messages", "chat_sessions")
    return [await chat.admin.fetch(f"select * from {table} order by 1, 2") for table in tables]
