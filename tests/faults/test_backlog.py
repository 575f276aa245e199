"""A hundred thousand messages that wait must not slow down the claim of the next run."""

import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database

SESSIONS = 100
QUEUED = 100_000
BUDGET_MS = 5.0
FILL = """
insert into engine.runs (session_id, user_id, message_id, model, origin, status, worker, lease_until)
select s.id, s.user_id, null, 'offline:demo', 'api',
    case when n > 1 then 'waiting' else $1 end,
    case when n = 1 and $1 = 'running' then 'elsewhere' end,
    case when n = 1 and $1 = 'running' then clock_timestamp() + interval '1 hour' end
from public.chat_sessions as s cross join generate_series(1, $2::int) as n
"""
SOURCE = "select prosrc from pg_proc where oid = 'engine.claim_runs'::regproc"


@pytest.mark.parametrize("heads", ["running", "ready"])
async def test_a_claim_behind_a_hundred_thousand_queued_runs_takes_under_five_ms(
    database: Database, heads: str
) -> None:
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await _fill(chat, heads)
        took = sorted([await _claim_ms(chat) for _ in range(21)])
        assert took[10] < BUDGET_MS


async def test_the_claim_reads_the_index_of_ready_runs_and_no_table(database: Database) -> None:
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await _fill(chat, "running")
        candidates = _candidates(await chat.admin.fetchval(SOURCE))
        rows = await chat.admin.fetch(f"explain (analyze, timing off) {candidates}")
    plan = "\n".join(row[0] for row in rows)
    assert "runs_turn_idx" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


def _candidates(source: str) -> str:
    """Return the query by which the function chooses the runs, with its parameters filled in."""
    query = source.partition("as materialized (")[2].partition("), claimed")[0]
    return query.replace("p_excluded_models", "'{}'::text[]").replace("p_limit", "32")


async def _fill(chat: Chat, heads: str) -> None:
    await chat.admin.execute(
        "insert into public.chat_sessions (user_id, title)"
        " select 'user_' || n, 'Hot' from generate_series(1, $1::int) as n",
        SESSIONS,
    )
    await chat.admin.execute(FILL, heads, QUEUED // SESSIONS)
    await chat.admin.execute("analyze engine.runs")


async def _claim_ms(chat: Chat) -> float:
    """Return how long a claim took that is undone again."""
    transaction: Any = chat.admin.transaction()
    await transaction.start()
    began = time.perf_counter()
    await chat.admin.fetchval("select engine.claim_runs('w', 1, 10)")
    took = time.perf_counter() - began
    await transaction.rollback()
    return took * 1000
