"""A worker's turns at a key that it shares with others, by every way to the database."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from backend.domain.rates import parse_rates
from backend.domain.usage import Usage
from backend.errors import ModelRateLimited
from backend.governance.turns import Turns
from backend.ports.gateway import SERVICE, Gateway, Identity
from backend.ports.limits import Asked
from tests.support.chat import Chat
from tests.support.hasty_clock import HastyClock

KEY = "sk-proj-never-seen-anywhere"


class Counting:
    """A gateway that counts."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.asked: list[Mapping[str, Any]] = []

    @property
    def calls(self) -> int:
        return len(self.asked)

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        self.asked.append(arguments)
        return await self._gateway.call(function, arguments, identity=identity)


class Worker:
    """One worker's turns."""

    def __init__(self, gateway: Gateway, limits: str = "openai:*=60rpm") -> None:
        self.gateway = Counting(gateway)
        self.clock = HastyClock()
        self._turns = Turns(parse_rates(limits), self.gateway, self.clock)

    async def take(self, *, provider: str = "openai", tokens: int = 10, **asked: Any) -> Any:
        return await self._turns.take(Asked(provider, "gpt", KEY, tokens, **asked))

    async def take_all(self, count: int) -> float:
        """Return how long so many calls have waited; each is told when there is no more."""
        await asyncio.gather(*(self.take() for _ in range(count)))
        return sum(self.clock.waits)


async def test_calls_that_come_together_share_a_slice(gateway: Gateway) -> None:
    worker = Worker(gateway, "openai:*=60000rpm/1000000000tpm")
    assert await worker.take_all(50) == 0
    assert worker.gateway.calls <= 4


async def test_calls_that_follow_each_other_spend_slices_that_grow(gateway: Gateway) -> None:
    worker = Worker(gateway, "openai:*=60000rpm")
    for _ in range(60):
        await worker.take()
    assert worker.gateway.calls <= 10


async def test_for_a_provider_without_limits_the_database_is_asked_nothing(
    gateway: Gateway,
) -> None:
    worker = Worker(gateway)
    turn = await worker.take(provider="mistral")
    turn.answered(Usage(output_tokens=9))
    await turn.refused(1)
    await worker.take(provider="mistral")
    assert worker.gateway.calls == 0


async def test_two_workers_get_no_more_than_the_limit(gateway: Gateway) -> None:
    workers = [Worker(gateway), Worker(gateway)]
    waits = await asyncio.gather(*(worker.take_all(4) for worker in workers))
    # Six are free; the others wait a second and two.
    assert 2.5 < sum(waits) < 3.5


async def test_what_waits_too_long_gets_a_turn(gateway: Gateway) -> None:
    worker = Worker(gateway, "openai:*=6rpm")
    await worker.take()
    waits = []
    for _ in range(3):
        with pytest.raises(ModelRateLimited) as raised:
            await worker.take()
        assert raised.value.has_turn
        waits.append(round(raised.value.retry_after_s or 0))
    assert waits == [10, 20, 30]


async def test_a_refusal_of_one_worker_holds_the_others_back(gateway: Gateway) -> None:
    one, other = Worker(gateway), Worker(gateway)
    await (await one.take()).refused(30)
    for worker in (one, other):
        with pytest.raises(ModelRateLimited) as raised:
            await worker.take()
        assert (raised.value.retry_after_s or 0) > 29


async def test_what_is_left_of_a_slice_is_not_spent_later_but_given_back(
    gateway: Gateway,
) -> None:
    worker = Worker(gateway, "openai:*=6000rpm")
    for _ in range(2):
        await worker.take_all(8)
    asked = worker.gateway.calls
    worker.clock.now += 3
    await worker.take()
    assert worker.gateway.calls == asked + 1
    assert worker.gateway.asked[-1]["p_back"][0] >= 1


async def test_tokens_are_settled_by_what_an_answer_took(gateway: Gateway) -> None:
    worker = Worker(gateway, "openai:*=6000tpm")
    turn = await worker.take(tokens=100, output_tokens=0)
    turn.answered(Usage(input_tokens=700, output_tokens=200))
    await worker.take(tokens=100, output_tokens=0)
    # Of the six hundred that were free three hundred too many were taken.
    assert 3.5 < sum(worker.clock.waits) < 4.1


async def test_the_key_is_nowhere_in_the_database(gateway: Gateway, chat: Chat) -> None:
    for worker in (Worker(gateway), Worker(gateway)):
        await worker.take()
    rows = await chat.admin.fetch("select key_hash, models from engine.rate_limits")
    assert [row["models"] for row in rows] == ["openai:*"]
    assert KEY not in rows[0]["key_hash"]
