"""How long a claim takes behind a hundred thousand queued runs: of hot sessions, of one requester."""

import json
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
# One asks for a hundred thousand answers in as many sessions; then somebody else asks for one.
_BURST = """
with started as (
    insert into public.chat_sessions (user_id)
    select case n when 0 then 'user_other' else 'user_burst' end
    from generate_series(0, $1::int) as n
    returning id, user_id
), numbered as (
    select *, row_number() over (partition by user_id order by id) as n from started
)
insert into engine.runs
    (session_id, user_id, requester_id, model, origin, status, turn_at, run_after)
select id, user_id, user_id, 'offline:demo', 'api', 'ready',
    now() + case user_id when 'user_burst' then interval '1 min' * n else interval '30 s' end,
    now() + case user_id when 'user_burst' then make_interval(mins => n::int * $2::int)
        else interval '0' end
from numbered
"""
_FAILED = """
update engine.runs set turn_at = now() - interval '1 day', status = 'ready', worker = null,
    lease_until = null, run_after = now() + interval '1 hour'
where user_id = 'user_burst'
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
    for name, minutes in (("burst", 0), ("deferred", 1)):
        found |= await _beside_a_burst(project, name, minutes)
    # All of them failed a moment ago, and stand before the one that can be made.
    await project.admin.execute(_FAILED)
    await project.admin.execute("vacuum analyze engine.runs")
    took = [await _claim_ms(project) for _ in range(_CLAIMS)]
    found["claim_ms_all_backing_off"] = statistics.median(took)
    await project.clear()
    return found


async def _beside_a_burst(project: Project, name: str, minutes: int) -> dict[str, Any]:
    """Return what claims cost and whose the first two are; with minutes the burst waits its turn."""
    await project.clear()
    await project.admin.execute(_BURST, QUEUED, minutes)
    await project.admin.execute("vacuum analyze engine.runs")
    took = [await _claim_ms(project) for _ in range(_CLAIMS)]
    claims = await project.admin.fetchval("select engine.claim_runs('bench', 2, 10)")
    whose = ", ".join(claim["user_id"] for claim in json.loads(claims))
    return {f"claim_ms_{name}": statistics.median(took), f"claimed_first_{name}": whose}


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
