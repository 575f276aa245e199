"""Health: whether the process lives, and whether a message would be answered."""

import asyncio

import pytest

from backend.api.health import Readiness, RecentReadiness
from backend.errors import AssistantsError, DatabaseUnavailable
from tests.api.scene import READY, asking, service
from tests.support.manual_clock import ManualClock, settle

NOTHING = Readiness(database=False, schema=False, worker=False)


class Probe:
    """Answers what a test wants, and counts how often it was asked."""

    def __init__(self, found: Readiness | AssistantsError = READY) -> None:
        self.found = found
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> Readiness:
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.found, AssistantsError):
            raise self.found
        return self.found


async def test_a_process_that_answers_is_alive_whatever_else_is_broken() -> None:
    async with asking(service(probe=Probe(NOTHING))) as client:
        response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_a_service_with_everything_in_place_is_ready() -> None:
    async with asking(service()) as client:
        response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": True,
        "schema": True,
        "worker": True,
    }


@pytest.mark.parametrize("missing", ["database", "schema", "worker"])
async def test_a_service_that_lacks_something_is_not_ready_and_says_what(missing: str) -> None:
    parts = {"database": True, "schema": True, "worker": True, missing: False}
    async with asking(service(probe=Probe(Readiness(**parts)))) as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not_ready", **parts}


async def test_a_probe_that_fails_is_an_error_of_our_shape() -> None:
    async with asking(service(probe=Probe(DatabaseUnavailable("Gone.")))) as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "database_unavailable"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_load_balancer_may_ask_by_head(path: str) -> None:
    async with asking(service()) as client:
        response = await client.head(path)
    assert response.status_code == 200


async def test_a_flood_of_questions_reaches_the_database_once_a_second() -> None:
    clock, probe = ManualClock(), Probe()
    async with asking(service(probe=probe, clock=clock)) as client:
        for _ in range(50):
            await client.get("/readyz")
        assert probe.asked == 1
        await clock.advance(1)
        await client.get("/readyz")
    assert probe.asked == 2


async def test_what_was_found_is_forgotten_after_a_second() -> None:
    clock, probe = ManualClock(), Probe(NOTHING)
    recent = RecentReadiness(probe, clock)
    assert await recent() == NOTHING
    probe.found = READY
    await clock.advance(0.9)
    assert await recent() == NOTHING
    await clock.advance(0.1)
    assert await recent() == READY


async def test_questions_that_come_while_the_database_is_slow_share_one_answer() -> None:
    clock, probe = ManualClock(), Probe()
    recent = RecentReadiness(probe, clock)
    probe.may_answer.clear()
    asked = [asyncio.create_task(recent()) for _ in range(20)]
    await clock.advance(5)
    assert probe.asked == 1
    probe.may_answer.set()
    assert await asyncio.gather(*asked) == [READY] * 20
    assert probe.asked == 1


async def test_whoever_hangs_up_takes_the_answer_from_nobody_else() -> None:
    clock, probe = ManualClock(), Probe()
    recent = RecentReadiness(probe, clock)
    probe.may_answer.clear()
    hasty, patient = asyncio.create_task(recent()), asyncio.create_task(recent())
    await settle()
    hasty.cancel()
    await settle()
    probe.may_answer.set()
    assert await patient == READY


async def test_a_failure_is_remembered_no_longer_than_an_answer() -> None:
    clock, probe = ManualClock(), Probe(DatabaseUnavailable("Gone."))
    recent = RecentReadiness(probe, clock)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await recent()
    assert probe.asked == 1
    probe.found = READY
    await clock.advance(1)
    assert await recent() == READY
