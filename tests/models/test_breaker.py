"""A provider that is down is left alone, and asked by one call whether it is back."""

import asyncio
from contextlib import aclosing

import pytest

from backend.errors import ModelRefused, ModelResting, ModelUnavailable
from backend.ports.models import LLMProvider
from tests.models.accounts import Accounts
from tests.models.asking import heard, heard_until_raised, text_of
from tests.models.resilience import ONE, OTHER, request, together
from tests.models.servers import Unreliable
from tests.support.hasty_clock import HastyClock

ANSWER = {"type": "reply", "text": "1,141 metres."}


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock()


@pytest.fixture
def models(accounts: Accounts, unreliable: Unreliable, clock: HastyClock) -> LLMProvider:
    return together(accounts, unreliable, clock, model_retry_s=0, model_failures=3)


async def fail(models: LLMProvider, unreliable: Unreliable, status: int, times: int) -> None:
    unreliable.will({"type": "fail", "status": status, "times": times})
    for _ in range(times):
        await heard_until_raised(models, request())


@pytest.mark.parametrize("status", [500, 503, 529])
async def test_after_failures_in_a_row_the_provider_is_asked_no_more(
    models: LLMProvider, unreliable: Unreliable, status: int
) -> None:
    await fail(models, unreliable, status, 3)
    _, error = await heard_until_raised(models, request())
    assert isinstance(error, ModelResting)
    assert 0 < error.retry_after_s <= 7.5
    assert len(unreliable.requests()) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 429])
async def test_what_is_wrong_with_the_request_leaves_it_closed(
    models: LLMProvider, unreliable: Unreliable, status: int
) -> None:
    await fail(models, unreliable, status, 5)
    assert len(unreliable.requests()) == 5


async def test_one_answer_between_failures_keeps_it_closed(
    models: LLMProvider, unreliable: Unreliable
) -> None:
    for _ in range(2):
        await fail(models, unreliable, 503, 2)
        unreliable.will(ANSWER)
        assert text_of(await heard(models, request()))


async def test_streams_that_break_after_words_count_too(
    models: LLMProvider, unreliable: Unreliable
) -> None:
    for _ in range(3):
        unreliable.will_break("disconnect", after_chunks=6)
        unreliable.will({"type": "reply", "text": "one two three four five six"})
        _, error = await heard_until_raised(models, request())
        assert type(error) is ModelUnavailable
    _, error = await heard_until_raised(models, request())
    assert isinstance(error, ModelResting)


async def test_other_providers_are_asked_meanwhile(
    models: LLMProvider, unreliable: Unreliable
) -> None:
    await fail(models, unreliable, 503, 3)
    unreliable.will(ANSWER)
    events = await heard(models, request(ONE, OTHER))
    assert events[-1].model == OTHER  # type: ignore[union-attr]


async def test_after_the_rest_one_call_asks_and_all_others_wait_for_what_it_hears(
    models: LLMProvider, unreliable: Unreliable, clock: HastyClock
) -> None:
    await fail(models, unreliable, 503, 3)
    clock.now += 8
    unreliable.will(ANSWER, ANSWER)
    probe = asyncio.ensure_future(heard(models, request()))
    await asyncio.sleep(0)
    _, error = await heard_until_raised(models, request())
    assert isinstance(error, ModelResting)
    assert text_of(await probe)
    assert text_of(await heard(models, request()))
    assert len(unreliable.requests()) == 5


async def test_a_probe_that_fails_makes_the_next_rest_longer(
    models: LLMProvider, unreliable: Unreliable, clock: HastyClock
) -> None:
    await fail(models, unreliable, 503, 3)
    rests = []
    for _ in range(4):
        _, error = await heard_until_raised(models, request())
        assert isinstance(error, ModelResting)
        rests.append(error.retry_after_s)
        clock.now += error.retry_after_s
        await fail(models, unreliable, 503, 1)
    # Spread a little, so that not all are back at once.
    assert rests == pytest.approx([5.5, 11, 22, 44])


async def test_a_call_that_failed_itself_does_not_say_that_it_was_not_made(
    accounts: Accounts, unreliable: Unreliable, clock: HastyClock
) -> None:
    models = together(accounts, unreliable, clock, model_failures=1)
    unreliable.will_break("disconnect", after_chunks=0)
    _, error = await heard_until_raised(models, request())
    assert type(error) is ModelUnavailable
    assert len(unreliable.requests()) == 1


async def test_the_rest_is_as_long_as_the_provider_asks(
    models: LLMProvider, unreliable: Unreliable
) -> None:
    unreliable.will({"type": "fail", "status": 503, "times": 3, "retry_after": 30})
    for _ in range(3):
        await heard_until_raised(models, request())
    _, error = await heard_until_raised(models, request())
    assert isinstance(error, ModelResting)
    assert 30 <= error.retry_after_s <= 36


async def test_a_provider_that_is_back_but_refuses_is_back(
    models: LLMProvider, unreliable: Unreliable, clock: HastyClock
) -> None:
    await fail(models, unreliable, 503, 3)
    clock.now += 8
    for _ in range(2):
        unreliable.will_fail(400)
        _, error = await heard_until_raised(models, request())
        assert isinstance(error, ModelRefused)


async def test_a_probe_that_nobody_waits_for_any_more_makes_room_for_another(
    models: LLMProvider, unreliable: Unreliable, clock: HastyClock
) -> None:
    await fail(models, unreliable, 503, 3)
    clock.now += 8
    unreliable.will_break("stall", after_chunks=0, stall_seconds=20)
    probe = asyncio.ensure_future(heard(models, request()))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    unreliable.reset()
    unreliable.will(ANSWER)
    async with aclosing(models.stream(request())) as events:
        assert [event async for event in events]
