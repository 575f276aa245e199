"""A run whose model is at its limit waits in the queue: no failure, no part of its time, not for ever."""

import math

import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim, delta


async def wait_s(chat: Chat, claim: Claim) -> float:
    sql = "select extract(epoch from run_after - clock_timestamp()) from engine.runs where id = $1"
    return float(await chat.admin.fetchval(sql, claim["run_id"]))


async def test_a_deferred_run_is_ready_at_its_time_and_has_not_failed(chat: Chat) -> None:
    claim = await chat.claimed()

    assert await chat.worker.defer(claim, 120) == {"state": "deferred"}

    run = await chat.run(claim["run_id"])
    assert (run["status"], run["failures"], run["worker"]) == ("ready", 0, None)
    assert run["lease_until"] is None
    assert 115 < await wait_s(chat, claim) <= 120
    assert await chat.worker.claim() == []


async def test_failures_of_before_stay_as_they_are(chat: Chat) -> None:
    await chat.configure(backoff_s=0)
    await chat.worker.fail(await chat.claimed())
    claim = await chat.worker.claim_one()

    await chat.worker.defer(claim, 1)

    assert (await chat.run(claim["run_id"]))["failures"] == 1


async def test_the_time_to_live_begins_after_the_wait(chat: Chat) -> None:
    await chat.configure(run_ttl_s=60)
    claim = await chat.claimed()

    await chat.worker.defer(claim, 250)

    run = await chat.run(claim["run_id"])
    assert 59 < (run["expires_at"] - run["run_after"]).total_seconds() < 61
    assert await chat.worker.reap() == {"retried": 0, "ended": 0, "postponed": 0}


async def test_all_waits_of_a_run_together_have_an_end(chat: Chat) -> None:
    await chat.configure(turn_wait_s=100)
    claim = await chat.claimed()
    await chat.worker.defer(claim, 60)
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    # What is left is waited for, then asked once more.
    assert await chat.worker.defer(claim, 60) == {"state": "deferred"}
    assert 35 < await wait_s(chat, claim) <= 40
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()

    assert await chat.worker.defer(claim, 60) == {"state": "overdue"}

    assert (await chat.run(claim["run_id"]))["status"] == "running"


@pytest.mark.parametrize("after_s", [3601, 1e300, math.inf, math.nan])
async def test_a_turn_that_is_too_far_ahead_is_asked_for_once_more_before_the_wait_is_over(
    chat: Chat, after_s: float
) -> None:
    await chat.configure(turn_wait_s=1000)
    claim = await chat.claimed()

    assert await chat.worker.defer(claim, after_s) == {"state": "deferred"}

    assert 900 < await wait_s(chat, claim) <= 1000
    assert (await chat.run(claim["run_id"]))["waited_s"] <= 1000


async def test_where_no_wait_is_allowed_there_is_none(chat: Chat) -> None:
    await chat.configure(turn_wait_s=0)

    assert await chat.worker.defer(await chat.claimed(), 0.01) == {"state": "overdue"}


async def test_no_wait_stands_against_a_run_that_was_never_deferred(chat: Chat) -> None:
    claim = await chat.claimed()

    assert (await chat.run(claim["run_id"]))["waited_s"] == 0


async def test_what_was_said_before_the_wait_is_kept_for_its_readers(chat: Chat) -> None:
    claim = await chat.claimed()
    message = "00000000-0000-4000-8000-00000000000a"

    await chat.worker.defer(claim, 0.01, [delta(1, message, "Well")])  # type: ignore[arg-type]

    assert await chat.events(claim["run_id"]) == [(1, "message.delta")]
    await chat.let_backoff_pass()
    assert (await chat.worker.claim_one())["discarded_message_id"] == message


async def test_only_the_holder_of_the_fence_defers(chat: Chat) -> None:
    claim = await chat.claimed()

    assert await chat.new_worker("worker_2").defer(claim, 9) == {"state": "lost"}
    assert await chat.worker.defer({**claim, "fence": 9}, 9) == {"state": "lost"}

    assert (await chat.run(claim["run_id"]))["status"] == "running"


async def test_a_run_of_a_deleted_session_is_gone(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.admin.execute("delete from chat_sessions where id = $1", claim["session_id"])

    assert await chat.worker.defer(claim, 9) == {"state": "gone"}


async def test_a_run_that_is_being_cancelled_ends_instead(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.cancel(claim["run_id"])

    assert await chat.worker.defer(claim, 9) == {"state": "stored"}

    assert (await chat.run(claim["run_id"]))["status"] == "cancelled"


async def test_a_deferred_run_queues_where_its_time_is(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.defer(claim, 0.01)
    await chat.admin.execute("update engine.runs set turn_at = turn_at + interval '10 s'")
    await chat.let_backoff_pass()
    later = await chat.bob.start_session()
    await chat.bob.say(later)

    claims = await chat.worker.claim(limit=1)

    assert [it["session_id"] for it in claims] == [str(later)]
