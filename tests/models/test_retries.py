"""A call that failed before its first word is made again within a few seconds, and not otherwise."""

import pytest

from backend.errors import ModelRateLimited, ModelRefused, ModelTimedOut, ModelUnavailable
from backend.ports.clock import SystemClock
from backend.ports.models import Finished
from tests.governance.billing import ADA, KeptLedger, billing
from tests.models.accounts import Accounts
from tests.models.asking import heard, heard_until_raised, text_of
from tests.models.resilience import request, together
from tests.models.servers import Unreliable
from tests.support.hasty_clock import HastyClock


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock()


async def test_a_call_that_failed_twice_is_answered_the_third_time(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    # Nobody says when to come back.
    for _ in range(2):
        unreliable.will_break("disconnect", after_chunks=0)
    unreliable.will({"type": "reply", "text": "1,141 metres.", "times": 3})
    events = await heard(together(accounts, unreliable, clock), request())
    assert text_of(events) == "1,141 metres."
    assert clock.waits == [0.25, 0.5]
    assert len(unreliable.requests()) == 3


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_whoever_says_when_to_come_back_is_not_asked_before(
    accounts: Accounts, unreliable: Unreliable, name: str, status: int
) -> None:
    unreliable.will({"type": "fail", "status": status, "times": 2, "retry_after": 1})
    unreliable.will({"type": "reply", "text": "1,141 metres."})
    models = together(accounts, unreliable, SystemClock(), name)
    assert text_of(await heard(models, request(f"{name}:some-model"))) == "1,141 metres."
    assert [it["status"] for it in unreliable.requests()] == [status, status, 200]
    assert unreliable.verdict()["findings"] == []


async def test_a_provider_that_wants_to_be_left_alone_for_longer_is(
    accounts: Accounts, unreliable: Unreliable, name: str, clock: HastyClock
) -> None:
    unreliable.will_fail(503, retry_after=17)
    models = together(accounts, unreliable, clock, name)
    _, error = await heard_until_raised(models, request(f"{name}:some-model"))
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after_s == 17
    assert (clock.waits, len(unreliable.requests())) == ([], 1)


async def test_after_three_tries_the_error_is_the_runs(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will({"type": "fail", "status": 503, "times": 9})
    _, error = await heard_until_raised(together(accounts, unreliable, clock), request())
    assert type(error) is ModelUnavailable
    assert len(unreliable.requests()) == 3


async def test_a_short_rate_limit_is_waited_out_for_as_long_as_it_asks(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(429, retry_after=3)
    unreliable.will({"type": "reply", "text": "1,141 metres."})
    assert text_of(await heard(together(accounts, unreliable, clock), request()))
    assert 3 <= sum(clock.waits) <= 3.5


async def test_a_long_rate_limit_gives_the_slot_back_at_once(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(429, retry_after=17)
    _, error = await heard_until_raised(together(accounts, unreliable, clock), request())
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after_s == 17
    assert (clock.waits, len(unreliable.requests())) == ([], 1)


async def test_a_refused_request_is_made_once(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(400)
    _, error = await heard_until_raised(together(accounts, unreliable, clock), request())
    assert isinstance(error, ModelRefused)
    assert len(unreliable.requests()) == 1


async def test_after_the_first_word_nothing_is_tried_again(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will({"type": "reply", "text": "one two three four five six"})
    unreliable.will_break("disconnect", after_chunks=6)
    events, error = await heard_until_raised(together(accounts, unreliable, clock), request())
    assert isinstance(error, ModelUnavailable)
    assert text_of(events)
    assert (clock.waits, len(unreliable.requests())) == ([], 1)


async def test_no_retry_where_the_operator_wants_none(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(503)
    models = together(accounts, unreliable, clock, model_retry_s=0)
    _, error = await heard_until_raised(models, request())
    assert isinstance(error, ModelUnavailable)
    assert len(unreliable.requests()) == 1


async def test_embeddings_are_tried_again_too(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(503)
    ledger = KeptLedger()
    found = await together(accounts, unreliable, clock, billing=billing(ledger)).embed(
        ["Brocken"], model="openai:text-embedding-3-small", asker=ADA
    )
    assert len(found.vectors) == 1
    told = [(it.outcome, it.asker) for it in ledger.calls]
    assert told == [("model_unavailable", ADA), ("completed", ADA)]
    assert len(clock.waits) == 1


async def test_an_answer_that_does_not_begin_in_time_is_given_up(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_break("stall", after_chunks=0, stall_seconds=20)
    ledger = KeptLedger()
    models = together(accounts, unreliable, clock, billing=billing(ledger), model_first_s=1)
    events, error = await heard_until_raised(models, request())
    assert (events, type(error)) == ([], ModelTimedOut)
    assert [(it.outcome, it.is_estimated) for it in ledger.calls] == [("model_timed_out", True)]


async def test_an_answer_that_does_not_end_in_time_is_given_up(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will({"type": "reply", "text": "one two three four five six"})
    unreliable.will_break("stall", after_chunks=6, stall_seconds=20)
    ledger = KeptLedger()
    models = together(accounts, unreliable, clock, billing=billing(ledger), model_call_s=2)
    events, error = await heard_until_raised(models, request())
    assert type(error) is ModelTimedOut
    (call,) = ledger.calls
    assert (call.outcome, call.is_estimated) == ("model_timed_out", True)
    assert call.usage.output_tokens > 0
    assert text_of(events)
    assert not any(isinstance(it, Finished) for it in events)
