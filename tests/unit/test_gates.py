"""Where no limits are known, a provider's 429 makes its callers go one after the other."""

import asyncio
from itertools import pairwise

import pytest

from backend.domain.usage import Usage
from backend.errors import ModelRateLimited
from backend.governance.gates import PATIENCE_S, Gate
from backend.ports.limits import Asked, Turn
from tests.support.hasty_clock import HastyClock
from tests.support.manual_clock import ManualClock, settle

CALL = Asked("openai", "gpt", "sk-key", 100)
BACK = Asked("openai", "gpt", "sk-key", 100, is_back=True)


async def closed(clock: HastyClock | ManualClock, seconds: float | None) -> Gate:
    """Return a gate after a refusal."""
    gate = Gate(clock)
    await (await gate.take(CALL)).refused(seconds)
    return gate


async def refusals(gate: Gate, count: int) -> list[float]:
    waits = []
    for _ in range(count):
        with pytest.raises(ModelRateLimited) as raised:
            await gate.take(CALL)
        assert raised.value.has_turn
        waits.append(raised.value.retry_after_s or 0)
    return waits


async def test_nobody_waits_before_the_first_refusal() -> None:
    clock = HastyClock()
    gate = Gate(clock)
    for _ in range(100):
        (await gate.take(CALL)).answered(Usage())
    assert sum(clock.waits) == 0


async def test_after_a_short_refusal_the_next_waits_for_as_long_as_it_asks() -> None:
    clock = HastyClock()
    gate = await closed(clock, 2)
    await gate.take(CALL)
    assert 2 <= sum(clock.waits) < 2.3


async def test_after_a_long_one_each_gets_a_turn_and_the_turns_come_closer() -> None:
    gate = await closed(HastyClock(), 20)
    waits = await refusals(gate, 50)
    assert 20 <= waits[0] < 23
    gaps = [later - earlier for earlier, later in pairwise(waits)]
    assert gaps[0] > gaps[10] > gaps[20] > 0
    assert waits[-1] < 8 * 20


async def test_nobody_overtakes_those_who_were_told_to_come_later() -> None:
    clock = HastyClock()
    gate = await closed(clock, 20)
    turns = await refusals(gate, 3)
    clock.now += turns[0]
    await gate.take(BACK)
    with pytest.raises(ModelRateLimited):
        await gate.take(CALL)


async def test_who_wait_together_go_one_after_the_other() -> None:
    clock = ManualClock()
    gate = await closed(clock, 2)
    waiting = [asyncio.ensure_future(gate.take(CALL)) for _ in range(2)]
    for passed in (0, 1, 2):
        await settle()
        assert sum(it.done() for it in waiting) == passed
        await clock.advance(2.2)


async def test_who_waits_already_when_another_is_refused_waits_on() -> None:
    clock = ManualClock()
    gate = Gate(clock)
    turns = [await gate.take(CALL) for _ in range(2)]
    await turns[0].refused(1)
    waiting = asyncio.ensure_future(gate.take(CALL))
    await settle()
    await turns[1].refused(4)
    await clock.advance(3)
    assert not waiting.done()
    await clock.advance(2)
    assert waiting.done()


async def test_answers_make_it_faster_and_another_refusal_slow_again() -> None:
    clock = HastyClock()
    gate = await closed(clock, 1)
    gaps = []
    for _ in range(6):
        began = clock.now
        turn = await gate.take(BACK)
        gaps.append(clock.now - began)
        turn.answered(Usage())
    assert gaps[5] < 0.7 < gaps[1]
    await (await gate.take(BACK)).refused(1)
    began = clock.now
    await gate.take(BACK)
    assert clock.now - began >= 1


async def test_refusals_of_calls_from_before_say_nothing_new() -> None:
    clock = HastyClock()
    gate = Gate(clock)
    turns = [await gate.take(CALL) for _ in range(50)]
    clock.now += 1
    for turn in turns:
        await turn.refused(1)
    clock.now += 1.2
    began = clock.now
    for _ in range(4):
        (await gate.take(BACK)).answered(Usage())
    assert clock.now - began < PATIENCE_S


async def test_a_minute_without_a_refusal_makes_it_free_again() -> None:
    clock = HastyClock()
    gate = await closed(clock, 30)
    clock.now += 33 + 61
    clock.waits.clear()
    for _ in range(100):
        await gate.take(CALL)
    assert sum(clock.waits) == 0


async def test_the_end_of_a_long_rest_is_no_end_of_the_pace() -> None:
    clock = HastyClock()
    gate = await closed(clock, 60)
    clock.now += 66
    clock.waits.clear()
    for _ in range(3):
        await gate.take(CALL)
    assert sum(clock.waits) >= 2


@pytest.mark.parametrize("rest_s", [1, 2, 10, 30, 60])
async def test_after_however_many_refusals_the_pace_is_back_in_half_a_minute(rest_s: int) -> None:
    clock = HastyClock()
    gate = Gate(clock)
    for _ in range(8):
        await (await patient(gate, clock)).refused(rest_s)
    ends_at = clock.now + 1.1 * rest_s
    for _ in range(100):
        (await patient(gate, clock)).answered(Usage())
    assert clock.now - ends_at < 36


async def patient(gate: Gate, clock: HastyClock) -> Turn:
    """Return the turn of a call that comes back when it is told to."""
    while True:
        try:
            return await gate.take(BACK)
        except ModelRateLimited as error:
            clock.now += error.retry_after_s or 0


async def test_a_refusal_that_says_no_time_counts_as_a_short_one() -> None:
    clock = HastyClock()
    gate = await closed(clock, None)
    await gate.take(CALL)
    assert 2 <= sum(clock.waits) < 3
