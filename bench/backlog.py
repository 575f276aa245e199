"""How long a claim takes behind a hundred thousand queued runs in a hundred hot sessions."""

import statistics
import time
from typing import Any

from bench.project import Project

SESSIONS = 100
QUEUED = 100_000
_CLAIMS = 51
_FILL = """
insert into engine.runs (session_id, user_id, message_id, model, origin, status, worker, lease_until)
select s.id, s.user_id, null, 'offline:demo', 'api',
    case when n > 1 then 'waiting' else $1 end,
    case when n = 1 and $1 = 'running' then 'elsewhere' end,
    case when n = 1 and $1 = 'running' then clock_timestamp() + interval '1 hour' end
from public.chat_sessions as s cross join generate_series(1, $2::int) as n
"""
_CLAIM = "select engine.claim_runs('bench', 1, 10)"
_SOURCE = "select prosrc from pg_proc where oid = 'engine.claim_runs'::regproc"


async def measure(project: Project) -> dict[str, Any]:
    """Return the median claim in milliseconds with all heads running and with all ready."""
    found: dict[str, Any] = {}
    for heads in ("running", "ready"):
        await project.clear()
        await project.sessions(SESSIONS)
        await project.admin.execute(_FILL, heads, QUEUED // SESSIONS)
        await project.admin.execute("vacuum analyze engine.runs")
        took = [await _claim_ms(project) for _ in range(_CLAIMS)]
        found[f"claim_ms_heads_{heads}"] = statistics.median(took)
    found["plan"] = await _plan(project)
    await project.clear()
    return found


async def _claim_ms(project: Project) -> float:
    """Return how long a claim took that is undone again."""
    transaction = project.admin.transaction()
    await transaction.start()
    began = time.perf_counter()
    await project.admin.fetchval(_CLAIM)
    took = time.perf_counter() - began
    await transaction.rollback()
    return took * 1000


async def _plan(project: Project) -> list[str]:
    source: str = await project.admin.fetchval(_SOURCE)
    query = source.partition("as materialized (")[2].partition("), claimed")[0]
    query = query.replace("p_excluded_models", "'{}'::text[]").replace("p_limit", "32")
    rows = await project.admin.fetch(f"explain (analyze, buffers, costs off) {query}")
    return [row[0] for row in rows]
