"""A thousand messages under fire; then the books are audited.

A worker is killed every second and a service every four; every webhook comes three times; on every
session somebody reads, who is cut off at random. What they have heard must be what is stored.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.audience import listening
from bench.project import Project
from bench.services import SignIn
from bench.workers import WORK, BenchWorker

_SETTINGS = {"WORKER_LEASE_S": "2", "WORKER_POLL_S": "0.2", "LOG_LEVEL": "WARNING"}
_BURST = 10
_AUDIT = {
    "runs": "select count(*) from engine.runs",
    "open_runs": "select count(*) from engine.runs where ended_at is null",
    "completed": "select count(*) from engine.runs where status = 'completed'",
    "attempts": "select sum(fence) from engine.runs",
    "missing_outcomes": """
select count(*) from engine.runs as r where not exists (
    select from public.messages as m where m.run_id = r.id and m.ordinal is null)""",
    "outcomes_out_of_order": """
select count(*) from (
    select r.queued_no, lag(r.queued_no) over (partition by r.session_id order by m.position) as before
    from engine.runs as r inner join public.messages as m on m.run_id = r.id
) as o where o.before > o.queued_no""",
    "broken_parents": """
select count(*) from (
    select m.parent_id, lag(m.id) over (partition by m.session_id order by p.rank, m.role desc) as before
    from public.messages as m cross join lateral (
        select r.queued_no as rank from engine.runs as r where m.id = r.message_id or m.run_id = r.id
    ) as p
) as o where o.parent_id is distinct from o.before""",
    "event_gaps": """
select count(*) from (
    select e.run_id from engine.events as e group by e.run_id
    having min(e.seq) <> 1 or max(e.seq) <> count(*)
) as o""",
    "streams_without_one_end": """
select count(*) from engine.runs as r where 1 <> (
    select count(*) from engine.events as e where e.run_id = r.id and e.type = 'run.' || r.status)""",
    "overlapping_turns": """
select count(*) from (
    select r.started_at, lag(r.ended_at) over (partition by r.session_id order by r.queued_no) as before
    from engine.runs as r
) as o where o.before > o.started_at""",
}
SOUND = (
    "open_runs",
    "missing_outcomes",
    "outcomes_out_of_order",
    "broken_parents",
    "event_gaps",
    "streams_without_one_end",
    "overlapping_turns",
    "endings_not_heard",
    "texts_heard_otherwise",
)
"""What must be 0."""


@dataclass(frozen=True)
class Plan:
    """How much, and how rough."""

    messages: int = 1000
    sessions: int = 100
    workers: int = 3
    kill_every_s: float = 1.0
    for_s: float = 60.0


async def run(project: Project, users: SignIn, folder: Path, plan: Plan) -> dict[str, Any]:
    """Return the audit after all messages were answered under fire."""
    sessions = await project.sessions(plan.sessions)
    await project.admin.execute("update engine.settings set backoff_s = 0.1, max_failures = 100")
    began = time.monotonic()
    async with listening(project, users, folder, sessions) as audience:
        fire = asyncio.create_task(_kill(project, folder, plan))
        await _talk(project, sessions, plan)
        fire_ended, kills = await fire
        await project.until_idle()
        heard = await audience.finish()
    audit = {name: await project.admin.fetchval(sql) for name, sql in _AUDIT.items()}
    for worker in fire_ended:
        worker.kill()
    seconds = round(time.monotonic() - began, 1)
    found = {name: int(value or 0) for name, value in audit.items()}
    return {"seconds": seconds, "kills": kills, **found, **heard}


def is_sound(audit: dict[str, Any], plan: Plan) -> bool:
    """Return whether every message was answered once, in order, in one piece."""
    return audit["completed"] == plan.messages and not any(audit[name] for name in SOUND)


async def _talk(project: Project, sessions: list[Any], plan: Plan) -> None:
    """Say everything in bursts, most of them while runs are under way."""
    for number in range(plan.messages // _BURST):
        text = {"deltas": random.randint(1, 40), "delay_ms": random.choice([0, 5, 20])}
        chosen = random.choices(sessions, k=_BURST)
        async with project.admin.transaction():
            for session in chosen:
                await project.ask([session], json.dumps(f"offline: {json.dumps(text)}"))
        await asyncio.sleep(plan.for_s / (plan.messages / _BURST) * (0.5 + number % 2))


async def _kill(project: Project, folder: Path, plan: Plan) -> tuple[list[BenchWorker], int]:
    """Kill one worker after the other; each is replaced at once."""
    started = 0
    kills = 0

    def start() -> BenchWorker:
        nonlocal started
        started += 1
        settings = {**project.environment, **_SETTINGS}
        return BenchWorker(WORK, folder / f"{started}.log", settings)

    workers = [start() for _ in range(plan.workers)]
    end = time.monotonic() + plan.for_s
    while time.monotonic() < end:
        await asyncio.sleep(plan.kill_every_s)
        workers.pop(0).kill()
        kills += 1
        workers.append(start())
        sys.stderr.write(f"\r{kills} kills")
    sys.stderr.write("\n")
    return workers, kills
