"""Runs per second and what a run costs, with a model that takes no time."""

import json
import os
import statistics
import time
from typing import Any

from bench.project import SCRIPT, Project
from bench.workers import running

_WARM_UP = 40
_SLOW = json.dumps('offline: {"deltas": 20, "delay_ms": 10}')
_RATE = """
select count(*) / extract(epoch from max(ended_at) - min(ended_at)) as rate from (
    select ended_at, ntile(10) over (order by ended_at) as part from engine.runs
    where created_at > $1
) as ended where part between 2 and 9
"""


async def measure(project: Project, *, rounds: int, runs: int) -> dict[str, Any]:
    """Return medians over the rounds, which alternate between one process and two.

    With a model that takes no time the processors are the limit, the database's share included:
    `busy` says how much of the machine was at work. With a model that takes 200 ms the slots are,
    as they would be in earnest.
    """
    one, two, slow_one, slow_two = [], [], [], []
    for _ in range(rounds):
        one.append(await measure_round(project, runs, SCRIPT, workers=1))
        two.append(await measure_round(project, runs, SCRIPT, workers=2))
        slow_one.append(await measure_round(project, runs // 3, _SLOW, workers=1))
        slow_two.append(await measure_round(project, runs // 3, _SLOW, workers=2))
    return {
        "runs_per_s_1": _median(one, "rate"),
        "runs_per_s_2": _median(two, "rate"),
        "growth": _median(two, "rate") / _median(one, "rate"),
        "busy_1": _median(one, "busy"),
        "busy_2": _median(two, "busy"),
        "runs_per_s_slow_model_1": _median(slow_one, "rate"),
        "runs_per_s_slow_model_2": _median(slow_two, "rate"),
        "growth_slow_model": _median(slow_two, "rate") / _median(slow_one, "rate"),
        "worker_cpu_ms_per_run": _median(one, "worker_ms"),
        "postgres_cpu_ms_per_run": _median(one, "postgres_ms"),
        "worker_cpu_ms_per_run_slow_model": _median(slow_one, "worker_ms"),
        "postgres_cpu_ms_per_run_slow_model": _median(slow_one, "postgres_ms"),
    }


def _median(rounds: list[dict[str, float]], name: str) -> float:
    return statistics.median(it[name] for it in rounds)


async def measure_round(
    project: Project, runs: int, script: str, *, workers: int
) -> dict[str, float]:
    """Return the rate of so many runs, and what each cost in milliseconds of CPU."""
    await project.clear()
    sessions = await project.sessions(runs)
    warm = await project.sessions(_WARM_UP)
    settings = {"WORKER_CONCURRENCY": "32", "LOG_LEVEL": "INFO"}
    async with running(project.environment, workers, **settings) as processes:
        await project.ask(warm)
        await project.until_idle()
        since = await project.admin.fetchval("select clock_timestamp()")
        worker_s = sum(process.cpu_s() for process in processes)
        # One statement asks everything, so that the asking costs nothing while it is measured.
        await project.ask(sessions, script)
        began = time.monotonic()
        server_s = project.cpu_s()
        await project.until_idle()
        took_s = time.monotonic() - began
        worker_s = sum(process.cpu_s() for process in processes) - worker_s
        server_s = project.cpu_s() - server_s
    return {
        "rate": float(await project.admin.fetchval(_RATE, since)),
        "busy": (worker_s + server_s) / (took_s * len(os.sched_getaffinity(0))),
        "worker_ms": worker_s / runs * 1e3,
        "postgres_ms": server_s / runs * 1e3,
    }
