"""A worker with a login beside one that has only the Data API."""

import statistics
from typing import Any

from bench.data_api import over_the_data_api
from bench.project import SCRIPT, Project
from bench.throughput import measure_round


async def measure(project: Project, *, rounds: int, runs: int) -> dict[str, Any]:
    """Return medians over the rounds, which alternate.

    The local Data API stands in for PostgREST and is slower: what carries over is the worker's CPU.
    """
    login, api = [], []
    for _ in range(rounds):
        login.append(await measure_round(project, runs, SCRIPT, workers=1))
        async with over_the_data_api(project):
            api.append(await measure_round(project, runs, SCRIPT, workers=1))
    found = {
        f"{name}_{way}": statistics.median(it[key] for it in measured)
        for way, measured in (("login", login), ("data_api", api))
        for name, key in (("runs_per_s", "rate"), ("worker_cpu_ms_per_run", "worker_ms"))
    }
    found["rate_ratio"] = found["runs_per_s_login"] / found["runs_per_s_data_api"]
    return found
