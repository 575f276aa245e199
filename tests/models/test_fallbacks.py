"""Another model answers where the assistant's own fails: before its first word, later if told so."""

import pytest

from backend.errors import ModelNotFound, ModelRateLimited, ModelRefused, ModelUnavailable
from backend.ports.models import Discarded, Finished
from backend.ports.replies import collect
from tests.models.accounts import Accounts
from tests.models.asking import heard, heard_until_raised, text_of
from tests.models.resilience import ONE, OTHER, request, together
from tests.models.servers import Unreliable
from tests.support.hasty_clock import HastyClock

LONG = {"type": "reply", "text": "one two three four five six"}
ANSWER = {"type": "reply", "text": "1,141 metres."}


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock()


@pytest.mark.parametrize("status", [503, 429, 404, 402, 401, 400])
async def test_the_next_model_answers_where_the_first_fails(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock, status: int
) -> None:
    unreliable.will({"type": "fail", "status": status, "retry_after": 30}, ANSWER)
    events = await heard(together(accounts, unreliable, clock), request(ONE, OTHER))
    assert text_of(events) == "1,141 metres."
    assert isinstance(events[-1], Finished)
    assert (events[-1].model, events[-1].stands_in) == (OTHER, True)
    assert not any(isinstance(it, Discarded) for it in events)


async def test_the_first_model_says_who_it_is(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will(ANSWER)
    final = (await heard(together(accounts, unreliable, clock), request(ONE, OTHER)))[-1]
    assert isinstance(final, Finished)
    assert (final.model, final.stands_in, len(unreliable.requests())) == (ONE, False, 1)


async def test_a_model_that_nobody_serves_is_skipped(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will(ANSWER)
    reply = await together(accounts, unreliable, clock).generate(request("nobody:x", OTHER))
    assert reply.model == OTHER


async def test_after_words_the_error_stands_unless_the_options_say_otherwise(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will(LONG)
    unreliable.will_break("disconnect", after_chunks=6)
    events, error = await heard_until_raised(
        together(accounts, unreliable, clock), request(ONE, OTHER)
    )
    assert isinstance(error, ModelUnavailable)
    assert text_of(events)
    assert len(unreliable.requests()) == 1


@pytest.mark.parametrize("kind", ["disconnect", "truncate"])
async def test_where_they_say_so_the_words_are_discarded_and_another_answers(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock, kind: str
) -> None:
    unreliable.will_break(kind, after_chunks=6)
    unreliable.will({**LONG, "times": 1}, ANSWER)
    models = together(accounts, unreliable, clock)
    asked = request(ONE, OTHER, fallback_after_words=True)
    events = await heard(models, asked)
    cut = next(number for number, it in enumerate(events) if isinstance(it, Discarded))
    assert text_of(events[:cut])
    assert text_of(events[cut:]) == "1,141 metres."
    assert events[-1].model == OTHER  # type: ignore[union-attr]


async def test_the_whole_answer_holds_nothing_of_what_was_discarded(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_break("disconnect", after_chunks=6)
    unreliable.will(LONG, ANSWER)
    asked = request(ONE, OTHER, fallback_after_words=True)
    reply = await collect(together(accounts, unreliable, clock).stream(asked))
    assert (reply.text, reply.model) == ("1,141 metres.", OTHER)


async def test_where_all_fail_the_one_that_says_when_it_is_back_counts(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(429, retry_after=30)
    unreliable.will_fail(401)
    _, error = await heard_until_raised(
        together(accounts, unreliable, clock), request(ONE, OTHER, "nobody:x")
    )
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after_s == 30


async def test_where_none_will_ever_answer_the_first_ones_reason_counts(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    unreliable.will_fail(400)
    models = together(accounts, unreliable, clock)
    _, error = await heard_until_raised(models, request(ONE, "nobody:x"))
    assert isinstance(error, ModelRefused)
    _, error = await heard_until_raised(models, request("nobody:x"))
    assert isinstance(error, ModelNotFound)
