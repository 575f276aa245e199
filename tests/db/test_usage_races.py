"""Calls, reservations and caches that are asked for at the same time."""

import asyncio
from uuid import uuid4

from tests.db.spending import PLAIN, allow
from tests.db.test_caches import CACHE, key
from tests.support.chat import Chat
from tests.support.usage import model_call


async def test_told_by_two_at_once_it_counts_once_and_none_is_deadlocked(chat: Chat) -> None:
    calls = [model_call(user_id=f"user_{number % 3}") for number in range(12)]
    workers = [chat.new_worker(f"worker_{number}") for number in range(4)]

    told = await asyncio.gather(
        *(
            worker.call("record_calls", calls[number:] + calls[:number])
            for number, worker in enumerate(workers)
        )
    )

    assert sum(answer["recorded"] for answer in told) == 12
    assert await chat.admin.fetchval("select sum(calls) from engine.usage_days") == 12


async def test_of_many_at_once_one_call_too_many_at_most_is_admitted(chat: Chat) -> None:
    await allow(chat, "organisation", hard_tokens=450)
    workers = [chat.new_worker(f"worker_{number}") for number in range(12)]
    call = {**PLAIN, "org_id": "org_1", "model": "openai:gpt-5.4", "cost_usd": None, "held_s": 60}

    answers = await asyncio.gather(
        *(
            worker.call(
                "reserve_budget",
                {**call, "id": str(uuid4()), "user_id": f"user_{number}"}
                | {"run_id": None, "input_tokens": 90, "output_tokens": 10},
            )
            for number, worker in enumerate(workers)
        )
    )

    assert sorted(answer["state"] for answer in answers) == ["free"] * 5 + ["hard"] * 7


async def test_of_many_at_once_one_leads(chat: Chat) -> None:
    workers = [chat.new_worker(f"worker_{number}") for number in range(10)]

    turns = await asyncio.gather(
        *(worker.call("lead_cached", CACHE, key("a"), worker.name, 60) for worker in workers)
    )

    assert sorted(turn["state"] for turn in turns) == ["lead"] + ["wait"] * 9
