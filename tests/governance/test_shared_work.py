"""Equal work is done once at a time: here, and elsewhere."""

import asyncio

import pytest

from backend.governance.shared_work import Boarding, Lead, SharedWork
from backend.ports.caches import Entry, Hit
from tests.governance.memory_caches import MemoryCaches
from tests.support.manual_clock import ManualClock, settle

KEY = "a" * 64


def scene() -> tuple[SharedWork, MemoryCaches, ManualClock]:
    caches, clock = MemoryCaches(), ManualClock()
    return SharedWork("responses", caches, clock, patience_s=30), caches, clock


async def led(work: SharedWork) -> Lead:
    boarded = await work.board(KEY)
    assert isinstance(boarded, Lead)
    return boarded


def boarding(work: SharedWork, count: int = 1) -> "list[asyncio.Task[Boarding]]":
    return [asyncio.create_task(work.board(KEY)) for _ in range(count)]


async def test_who_comes_while_it_is_made_gets_what_the_first_one_makes() -> None:
    work, caches, _ = scene()
    lead = await led(work)
    others = boarding(work, 5)
    await settle()
    assert not any(other.done() for other in others)

    await work.land(lead, "made", owner="user:a", ttl_s=5)

    assert await asyncio.gather(*others) == [Hit("made")] * 5
    assert caches.asked == 1
    assert caches.entries[KEY] == Entry(KEY, "made", 5, "user:a")


async def test_what_is_passed_on_is_for_those_who_wait_and_is_not_kept() -> None:
    work, caches, _ = scene()
    lead = await led(work)
    others = boarding(work, 5)
    await settle()

    await work.pass_on(lead, "made")

    assert await asyncio.gather(*others) == [Hit("made")] * 5
    assert (caches.asked, caches.entries, caches.released) == (1, {}, 1)
    assert isinstance(await work.board(KEY), Lead)


async def test_where_the_first_one_fails_the_next_one_leads_and_only_one() -> None:
    work, caches, _ = scene()
    lead = await led(work)
    others = boarding(work, 3)
    await settle()

    await work.give_up(lead)
    await settle()

    (leader,) = [other for other in others if other.done()]
    taken = leader.result()
    assert isinstance(taken, Lead)
    assert caches.released == 1
    await work.land(taken, "made", owner="user:a")
    assert [await other for other in others if other is not leader] == [Hit("made")] * 2


async def test_who_goes_away_while_waiting_for_the_database_holds_nobody_up() -> None:
    work, caches, _ = scene()
    caches.led_elsewhere.add(KEY)
    (first,) = boarding(work)
    await settle()
    (second,) = boarding(work)
    await settle()
    caches.led_elsewhere.clear()

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert isinstance(await second, Lead)


async def test_another_process_is_waited_for_at_growing_intervals() -> None:
    work, caches, clock = scene()
    caches.led_elsewhere.add(KEY)
    (waiting,) = boarding(work)

    await clock.advance(20)
    assert not waiting.done()
    # Not a busy loop: 20 seconds are some 25 questions.
    assert caches.asked < 30
    caches.entries[KEY] = Entry(KEY, "theirs")
    await clock.advance(1)

    assert await waiting == Hit("theirs")


async def test_who_has_waited_long_enough_makes_it_alone() -> None:
    work, caches, clock = scene()
    caches.led_elsewhere.add(KEY)
    (waiting,) = boarding(work)

    await clock.advance(31)

    assert isinstance(await waiting, Lead)


@pytest.mark.parametrize("count", [1, 7])
async def test_once_it_is_kept_nobody_makes_it(count: int) -> None:
    work, caches, _ = scene()
    caches.entries[KEY] = Entry(KEY, "kept")

    assert await asyncio.gather(*boarding(work, count)) == [Hit("kept")] * count
