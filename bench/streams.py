"""Streams: the first word, words by the second, and connections that only wait."""

import asyncio
import json
import statistics
import sys
import time
from typing import Any

from bench.project import Project
from bench.readers import reading
from bench.services import Service, serving
from bench.workers import running

_STAMPED = (sys.executable, "-m", "bench.stamped_worker")


async def measure(project: Project, *, rounds: int, quick: bool) -> dict[str, Any]:
    """Return the numbers for the streams' budgets."""
    found: dict[str, Any] = {}
    async with running(project.environment, command=_STAMPED, WORKER_CONCURRENCY="200"):
        async with serving(project) as service:
            found |= await _first_words(project, service, rounds * 10)
            rates = [500, 2000, 4000, 8000, 16000] if not quick else [1000, 4000]
            found |= await _many_words(project, service, rates, for_s=5 if not quick else 2)
        async with serving(project) as service:
            found |= await _connections(project, service, 500 if quick else 2000)
    return found


async def _first_words(project: Project, service: Service, count: int) -> dict[str, Any]:
    delays: list[float] = []
    ask = json.dumps(json.dumps({"deltas": 1, "gap_ms": 0, "first_ms": 120}))
    for session in await project.sessions(count):
        async with reading(service.url, [session], service.sign_in.token()) as (reader,):
            await project.ask([session], ask)
            delays += await reader.delays_ms()
    cuts = statistics.quantiles(delays, n=100)
    return {"first_word_ms": {"p50": cuts[49], "p99": cuts[98]}}


async def _many_words(
    project: Project, service: Service, rates: list[int], *, for_s: float
) -> dict[str, Any]:
    """Raise the pace until less comes out than goes in; then look at the half of what came out."""
    best = 0.0
    for rate in rates:
        relayed, _ = await _words(project, service, rate, for_s=for_s)
        best = max(best, relayed)
        if relayed < 0.8 * rate:
            break
    _, delays = await _words(project, service, int(best / 2), for_s=for_s)
    cuts = statistics.quantiles(delays, n=100)
    return {
        "words_per_s": best,
        "words_at_half_ms": {"p50": cuts[49], "p99": cuts[98]},
    }


async def _words(
    project: Project, service: Service, rate: int, *, for_s: float
) -> tuple[float, list[float]]:
    """Return words relayed per second and their delays, at so many words per second asked for."""
    streams = 100
    gap_ms = streams * 1000 / rate
    ask = {"deltas": max(1, int(for_s * 1000 / gap_ms)), "gap_ms": gap_ms, "first_ms": 500}
    sessions = await project.sessions(streams)
    async with reading(service.url, sessions, service.sign_in.token()) as readers:
        await project.ask(sessions, json.dumps(json.dumps(ask)))
        began = time.monotonic()
        heard = await asyncio.gather(*(reader.delays_ms() for reader in readers))
        took_s = time.monotonic() - began - 0.5
    delays = [delay for one in heard for delay in one]
    return len(delays) / max(took_s, for_s), delays


async def _connections(project: Project, service: Service, count: int) -> dict[str, Any]:
    empty = service.memory_bytes()
    sessions = await project.sessions(count)
    async with reading(service.url, sessions, service.sign_in.token()) as readers:
        before = service.cpu_s()
        await asyncio.sleep(5)
        idle_cpu = (service.cpu_s() - before) / 5
        full = service.memory_bytes()
        opened = len(readers)
    return {
        "open_streams": opened,
        "open_streams_mb": full / 1e6,
        "kb_per_stream": (full - empty) / opened / 1e3,
        "open_streams_cpu": idle_cpu,
    }
