"""Slices that are asked for at the same time."""

import asyncio

from tests.support.chat import Chat
from tests.support.rate_asker import RateAsker, spend


async def test_two_at_the_same_time_get_no_more_than_one(chat: Chat) -> None:
    askers = [RateAsker(chat.new_worker(f"worker_{n}")) for n in range(8)]
    granted = await asyncio.gather(*(spend(it) for it in askers))
    assert sum(granted) == 6
