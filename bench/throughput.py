"""Runs per second and what a run costs, with a model that takes no time."""

import statistics
from typing import Any

from bench.project import Project
from bench.workers import running

_WARM_UP = 40
_RATE = """
select count(*) / extract(epoch from max(ended_at) - min(ended_at)) as rate from (
    select ended_at, ntile(10) over (order by ended_at) as part from engine.runs
    where created_at > $1
) as ended where part between 2 and 9
"""


async def measure(project: Project, *, rounds: int, runs: int) -> dict[str, Any]:
    """Return medians over the rounds, which alternate between one process and two."""
    one = []
    two = []
    for _ in range(rounds):
        one.append(await _round(project, runs, workers=1))
        two.append(await _round(project, runs, workers=2))
    rate_1 = statistics.median(it["rate"] for it in one)
    rate_2 = statistics.median(it["rate"] for it in two)
    return {
        "runs_per_s_1": rate_1,
        "runs_per_s_2": rate_2,
        "growth": rate_2 / rate_1,
        "worker_cpu_ms_per_run": statistics.median(it["worker_ms"] for it in one),
        "postgres_cpu_ms_per_run": statistics.median(it["postgres_ms"] for it in one),
    }


async def _round(project: Project, runs: int, *, workers: int) -> dict[str, float]:
    await project.clear()
    sessions = await project.sessions(runs)
    warm = await project.sessions(_WARM_UP)
    settings = {"WORKER_CONCURRENCY": "32", "LOG_LEVEL": "INFO"}
    async with running(project.service_url, workers, **settings) as processes:
        await project.ask(warm)
        await project.until_idle()
        since = await project.admin.fetchval("select clock_timestamp()")
        worker_s = sum(process.cpu_s() for process in processes)
        # One statement asks everything, so that the asking costs nothing while it is measured.
        await project.ask(sessions)
        server_s = project.cpu_s()
        await project.until_idle()
        worker_s = sum(process.cpu_s() for process in processes) - worker_s
        server_s = project.cpu_s() - server_s
    rate = float(await project.admin.fetchval(_RATE, since))
    return {"rate": rate, "worker_ms": worker_s / runs * 1e3, "postgres_ms": server_s / runs * 1e3}
