"""The reaper: takes back what nobody holds, and stops for no single row."""

from datetime import timedelta
from uuid import uuid4

from tests.support.chat import Chat
from tests.support.worker import call, delta, text


async def test_a_lease_that_holds_is_left_alone(chat: Chat) -> None:
    claim = await chat.claimed()

    assert await chat.worker.reap() == {"retried": 0, "ended": 0, "postponed": 0}
    assert (await chat.run(claim["run_id"]))["status"] == "running"


async def test_a_claim_takes_expired_leases_back_by_itself(chat: Chat) -> None:
    await chat.configure(backoff_s=0)
    claim = await chat.claimed()
    await chat.let_leases_expire()
    other = chat.new_worker("worker_2")

    assert await other.claim() == []
    (again,) = await other.claim()

    assert (again["run_id"], again["fence"], again["failures"]) == (claim["run_id"], 2, 1)


async def test_a_worker_that_comes_back_after_its_lease_writes_nothing(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.let_leases_expire()
    await chat.worker.reap()

    assert await chat.worker.finish(claim) == {"state": "lost"}
    assert await chat.outcome(claim["run_id"]) is None


async def test_no_more_candidates_are_taken_than_asked_for(chat: Chat) -> None:
    for _ in range(3):
        await chat.claimed()
    await chat.let_leases_expire()

    assert (await chat.worker.reap(limit=2))["retried"] == 2
    assert (await chat.worker.reap(limit=2))["retried"] == 1


async def test_a_wait_for_outputs_that_lasts_too_long_expires(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.say(claim["session_id"], "M2")
    await chat.worker.park(claim, "a")
    assert await chat.worker.reap() == {"retried": 0, "ended": 0, "postponed": 0}
    await chat.let_waits_expire()

    assert (await chat.worker.reap())["ended"] == 1

    assert await chat.statuses(claim["session_id"]) == ["expired", "ready"]
    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["status"], outcome["reason"], outcome["error"]) == (
        "incomplete",
        "expired",
        "expired",
    )


async def test_a_parked_run_has_no_lease_and_its_own_time(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.configure(run_ttl_s=60)
    await chat.worker.park(claim, "a")

    run = await chat.run(claim["run_id"])
    now = await chat.admin.fetchval("select clock_timestamp()")

    assert (run["lease_until"], run["worker"]) == (None, None)
    assert timedelta(seconds=50) < run["expires_at"] - now <= timedelta(seconds=60)


async def test_a_run_being_cancelled_whose_worker_died_is_cancelled(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.cancel(claim["run_id"])
    await chat.let_leases_expire()

    assert (await chat.worker.reap())["ended"] == 1
    assert (await chat.outcome(claim["run_id"]))["reason"] == "cancelled"


async def test_a_reaped_run_keeps_the_text_that_readers_saw_under_its_id(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    claim = await chat.claimed()
    seen = uuid4()
    await chat.worker.flush(claim, delta(1, seen, "You see "), delta(2, seen, "a door"))
    await chat.let_leases_expire()

    await chat.worker.reap()

    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["id"], outcome["content"]) == (seen, text("You see a door"))
    assert (outcome["status"], outcome["reason"]) == ("incomplete", "failed")


async def test_a_text_that_was_discarded_is_not_brought_back(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    claim = await chat.claimed()
    seen = uuid4()
    await chat.worker.flush(
        claim,
        delta(1, seen, "You see"),
        {"seq": 2, "type": "message.discarded", "data": {"message_id": str(seen)}},
    )
    await chat.let_leases_expire()

    await chat.worker.reap()

    outcome = await chat.outcome(claim["run_id"])
    assert outcome["id"] != seen
    assert outcome["content"] == []


async def test_one_run_that_cannot_be_ended_stops_nobody_else(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    poison, other = await chat.claimed(), await chat.claimed()
    waiting = await chat.ada.start_session()
    await chat.ada.say(waiting)
    await chat.admin.execute(
        "alter table messages add constraint poison"
        f" check (run_id <> '{poison['run_id']}') not valid"
    )
    await chat.let_leases_expire()

    claims = await chat.new_worker("worker_2").claim()

    assert [claim["session_id"] for claim in claims] == [str(waiting)]
    assert await chat.statuses(other["session_id"]) == ["failed"]
    assert await chat.statuses(poison["session_id"]) == ["running"]
    assert await chat.worker.reap() == {"retried": 0, "ended": 0, "postponed": 0}


async def test_a_run_with_a_malformed_step_still_ends(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [{**call(0, "a", output=1), "data": {"round": 1}}])
    await chat.let_leases_expire()

    await chat.worker.reap()

    assert await chat.statuses(claim["session_id"]) == ["failed"]
