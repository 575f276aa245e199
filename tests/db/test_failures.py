"""Failures: what counts against a run, what does not, and what the cap does."""

import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim, call


async def test_a_retryable_error_puts_the_run_back_behind_a_backoff(chat: Chat) -> None:
    await chat.configure(backoff_s=10)
    claim = await chat.claimed()

    assert await chat.worker.fail(claim) == {"state": "retrying"}

    run = await chat.run(claim["run_id"])
    assert (run["status"], run["failures"], run["worker"]) == ("ready", 1, None)
    wait_s = await _wait_s(chat, claim)
    assert 4 < wait_s <= 15
    assert await chat.worker.claim() == []


@pytest.mark.parametrize(("failures", "shortest_s", "longest_s"), [(2, 10, 30), (3, 20, 60)])
async def test_the_backoff_doubles_with_each_failure_in_a_row(
    chat: Chat, failures: int, shortest_s: float, longest_s: float
) -> None:
    await chat.configure(backoff_s=10, backoff_limit_s=1000, max_failures=9)
    claim = await _failed(chat, failures)

    assert shortest_s - 1 < await _wait_s(chat, claim) <= longest_s


async def test_the_backoff_is_capped(chat: Chat) -> None:
    await chat.configure(backoff_s=10, backoff_limit_s=20, max_failures=9)

    assert await _wait_s(chat, await _failed(chat, 4)) <= 30


async def test_a_provider_that_names_a_time_is_not_asked_earlier(chat: Chat) -> None:
    claim = await chat.claimed()

    await chat.worker.fail(claim, retry_after_s=120)

    assert 115 < await _wait_s(chat, claim) <= 120


async def test_an_expired_lease_counts_as_a_failure(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.let_leases_expire()

    await chat.worker.reap()

    run = await chat.run(claim["run_id"])
    assert (run["status"], run["failures"]) == ("ready", 1)
    assert run["lease_until"] is None


async def test_a_stored_checkpoint_resets_the_failures(chat: Chat) -> None:
    claim = await _failed(chat, 2)
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    assert claim["failures"] == 2

    await chat.worker.checkpoint(claim, [call(0, "a", output=1)])

    assert (await chat.run(claim["run_id"]))["failures"] == 0


async def test_parking_outputs_and_draining_touch_neither_fence_nor_failures(chat: Chat) -> None:
    await _failed(chat, 2)
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    counts = []

    async def count() -> None:
        run = await chat.run(claim["run_id"])
        counts.append((run["status"], run["fence"] - claim["fence"], run["failures"]))

    await chat.worker.park(claim, "a")
    await count()
    await chat.ada.submit(claim["run_id"], [{"call_id": "a", "output": "7"}])
    await count()
    claim = await chat.worker.claim_one()
    await chat.worker.release(claim)
    await count()

    assert counts == [("requires_action", 0, 2), ("ready", 0, 2), ("ready", 0, 2)]


@pytest.mark.parametrize("how", ["fail", "reap"])
async def test_at_the_cap_the_run_has_failed_and_the_session_goes_on(chat: Chat, how: str) -> None:
    await chat.configure(max_failures=2, backoff_s=0)
    session = await chat.ada.start_session()
    for words in ("M1", "M2"):
        await chat.ada.say(session, words)
    for _ in range(2):
        await chat.let_backoff_pass()
        claim = await chat.worker.claim_one()
        if how == "fail":
            await chat.worker.fail(claim, error="overloaded")
        else:
            await chat.let_leases_expire()
            await chat.worker.reap()

    assert await chat.statuses(session) == ["failed", "ready"]
    outcome = await chat.outcome(claim["run_id"])
    error = {"fail": "overloaded", "reap": "worker_lost"}[how]
    assert (outcome["status"], outcome["reason"], outcome["error"]) == (
        "incomplete",
        "failed",
        error,
    )
    assert outcome["content"] == []
    assert await chat.events(claim["run_id"]) == [(1, "run.failed")]


async def test_a_failing_run_that_is_being_cancelled_ends_as_cancelled(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.cancel(claim["run_id"])

    assert await chat.worker.fail(claim) == {"state": "stored", "status": "cancelled"}
    assert (await chat.outcome(claim["run_id"]))["reason"] == "cancelled"


async def test_usage_at_the_cap_is_kept(chat: Chat) -> None:
    await chat.configure(max_failures=1)
    claim = await chat.claimed()

    await chat.worker.fail(claim, "half", usage={"input_tokens": 3})

    assert (await chat.run(claim["run_id"]))["usage"] == {"input_tokens": 3}
    assert (await chat.outcome(claim["run_id"]))["content"] == [{"type": "text", "text": "half"}]


async def _failed(chat: Chat, failures: int) -> Claim:
    claim = await chat.claimed()
    await chat.worker.fail(claim)
    for _ in range(failures - 1):
        await chat.let_backoff_pass()
        claim = await chat.worker.claim_one()
        await chat.worker.fail(claim)
    return claim


async def _wait_s(chat: Chat, claim: Claim) -> float:
    sql = (
        "select extract(epoch from run_after - clock_timestamp()) from engine.runs"
        " where id = $1::text::uuid"
    )
    return float(await chat.admin.fetchval(sql, claim["run_id"]))
