"""Calls are written together, wait for no database for long, and none is lost."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from backend.domain.usage import Usage
from backend.errors import DatabaseRejected, DatabaseUnavailable
from backend.governance.ledger import DatabaseLedger
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import SystemClock
from backend.ports.ledger import ModelCall
from tests.governance.billing import ADA
from tests.support.cluster import Database
from tests.support.manual_clock import ManualClock, settle
from tests.support.scripted_gateway import ScriptedGateway, fails, returns

AWAY = DatabaseUnavailable("away")


def call(clock: ManualClock | SystemClock) -> ModelCall:
    return ModelCall(clock.new_id(), ADA, "openai", "gpt-5.4", Usage(3, 0, 2), "completed", 5)


def written(gateway: ScriptedGateway) -> list[int]:
    """Return how many calls each statement held."""
    return [len(arguments["p_calls"]) for arguments in gateway.asked("record_calls")]


async def test_calls_that_end_during_a_write_share_the_next_one() -> None:
    clock, gate = ManualClock(), asyncio.Event()

    async def slow(_arguments: Mapping[str, Any]) -> Any:
        await gate.wait()

    gateway = ScriptedGateway(record_calls=slow)
    ledger = DatabaseLedger(gateway, clock)
    first = asyncio.create_task(ledger.record(call(clock)))
    await settle()
    others = [asyncio.create_task(ledger.record(call(clock))) for _ in range(50)]
    await settle()
    assert written(gateway) == [1]
    assert not first.done()

    gate.set()
    await asyncio.gather(first, *others)

    assert written(gateway) == [1, 50]
    assert ledger.unwritten == 0


async def test_a_database_that_is_away_keeps_nobody_for_long_and_loses_nothing() -> None:
    clock = ManualClock()
    gateway = ScriptedGateway(record_calls=fails(*[AWAY] * 6))
    ledger = DatabaseLedger(gateway, clock, patience_s=2)
    with structlog.testing.capture_logs() as lines:
        recording = [asyncio.create_task(ledger.record(call(clock))) for _ in range(3)]
        await clock.advance(2)
        assert all(it.done() for it in recording)
        assert ledger.unwritten == 3

        await clock.advance(60)

    assert ledger.unwritten == 0
    last = gateway.asked("record_calls")[-1]["p_calls"]
    assert len(last) == 3
    # How long ago they ended, so that they stand at their time.
    assert {row["age_s"] > 2 for row in last} == {True}
    assert [line["event"] for line in lines] == ["ledger.behind"]


async def test_one_call_that_the_database_refuses_takes_no_other_with_it() -> None:
    clock = ManualClock()
    bad = call(clock)

    async def choosy(arguments: Mapping[str, Any]) -> Any:
        if any(row["id"] == bad.call_id for row in arguments["p_calls"]):
            raise DatabaseRejected("no", sqlstate="22P02")

    gateway = ScriptedGateway(record_calls=choosy)
    ledger = DatabaseLedger(gateway, clock)
    with structlog.testing.capture_logs() as lines:
        for each in (call(clock), bad, call(clock), call(clock)):
            ledger.note(each)
        await settle()

    assert ledger.unwritten == 0
    assert written(gateway) == [4, 1, 1, 1, 1]
    (line,) = lines
    assert (line["event"], line["call_id"]) == ("ledger.refused", bad.call_id)


async def test_at_its_end_a_process_writes_what_it_can_and_says_what_it_could_not() -> None:
    clock = ManualClock()
    ledger = DatabaseLedger(ScriptedGateway(record_calls=returns(None)), clock)
    ledger.note(call(clock))
    assert await ledger.drain(5) == 0

    ledger = DatabaseLedger(ScriptedGateway(record_calls=fails(*[AWAY] * 99)), clock)
    ledger.note(call(clock))
    draining = asyncio.create_task(ledger.drain(5))
    await clock.advance(5)
    assert await draining == 1


async def test_a_hundred_calls_at_once_are_a_hundred_rows_by_a_few_statements(
    database: Database,
) -> None:
    clock = SystemClock()
    url = await create_service_role(database.url("postgres"))
    async with AsyncpgGateway(url, clock, size=4, timeout_s=10) as gateway:
        ledger = DatabaseLedger(gateway, clock)
        again = call(clock)
        await asyncio.gather(*(ledger.record(call(clock)) for _ in range(99)), ledger.record(again))
        await ledger.record(again)

    assert (
        database.execute("select count(*), sum(input_tokens) from engine.model_calls") == "100|300"
    )
    assert database.execute("select sum(calls), max(org_id) from engine.usage_days") == "100|org_1"
