"""From the commit of an insert to the model's call, while nothing else happens."""

import asyncio
import random
import statistics
import sys
import time
from typing import Any

import asyncpg

from bench.project import Project
from bench.workers import running

_OURS = (sys.executable, "-m", "bench.timed_worker")
_BARE = (sys.executable, "-m", "bench.bare_listener")
_CALLED_AT = """
select (m.content -> 0 ->> 'text')::bigint as called_at
from public.messages as m inner join engine.runs as r on m.run_id = r.id
where r.message_id = $1
"""
_BARE_CALLED_AT = "select usage::text::bigint from engine.runs where message_id = $1"
_SETTLED_S = 0.5


async def measure(project: Project, *, rounds: int, inserts: int, compare: bool) -> dict[str, Any]:
    """Return medians over the rounds of p50 and p99 in milliseconds; the two alternate."""
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    for _ in range(rounds):
        async with running(project.environment, command=_OURS):
            ours.append(await _round(project, inserts, _CALLED_AT))
        await project.clear()
        if compare:
            async with running({"DATABASE_URL": project.admin_url}, command=_BARE):
                bare.append(await _round(project, inserts, _BARE_CALLED_AT))
            await project.clear()
    found: dict[str, Any] = {"insert_to_model_ms": _summary(ours)}
    if compare:
        found["bare_ms"] = _summary(bare)
        found["ratio_p50"] = found["insert_to_model_ms"]["p50"] / found["bare_ms"]["p50"]
        found["ratio_p99"] = found["insert_to_model_ms"]["p99"] / found["bare_ms"]["p99"]
    return found


async def _round(project: Project, inserts: int, called_at: str) -> list[float]:
    connection = await asyncpg.connect(project.admin_url)
    insert = "insert into public.messages (session_id, content) values ($1, '\"Hi\"') returning id"
    committed: dict[Any, int] = {}
    for session in await project.sessions(inserts):
        await _pause()
        message = await connection.fetchval(insert, session)
        committed[message] = time.monotonic_ns()
    await asyncio.sleep(_SETTLED_S)
    called = [await connection.fetchval(called_at, message) for message in committed]
    await connection.close()
    return [(then - since) / 1e6 for since, then in zip(committed.values(), called, strict=True)]


async def _pause() -> None:
    # Longer than anything takes, and of no rhythm that a poll could share.
    await asyncio.sleep(random.uniform(0.03, 0.07))


def _summary(rounds: list[list[float]]) -> dict[str, float]:
    cuts = [statistics.quantiles(round_, n=100) for round_ in rounds]
    return {
        "p50": statistics.median(cut[49] for cut in cuts),
        "p99": statistics.median(cut[98] for cut in cuts),
    }
