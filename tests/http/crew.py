"""Who answers in a project: one worker and one service, in one of two ways to its database."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.broadcast.live import realtime_of
from tests.support.processes import WorkerProcess, open_workshop
from tests.support.service import ORIGIN, ServiceProcess
from tests.support.stack import Stack

WITH_A_LOGIN = "with a login"
WAYS = (WITH_A_LOGIN, "over the Data API")


@dataclass(frozen=True)
class Crew:
    """The processes, and where their broadcasts are heard."""

    worker: WorkerProcess
    service: ServiceProcess
    realtime_url: str


@contextmanager
def open_crew(stack: Stack, way: str) -> Iterator[Crew]:
    """Yield the crew of a project that has no other worker; none of it is left afterwards."""
    login = stack.facts["database_url"] if way == WITH_A_LOGIN else ""
    with (
        _realtime(stack) as realtime_url,
        tempfile.TemporaryDirectory(prefix="supa-crew-") as folder,
    ):
        settings = {
            "SUPABASE_URL": realtime_url,
            "SUPABASE_PUBLISHABLE_KEY": stack.facts["publishable_key"],
            "SUPABASE_SECRET_KEY": stack.facts["secret_key"],
            "CLERK_ISSUER": stack.facts["issuer_url"],
            # Of a machine that is busy with ten containers.
            "WORKER_LEASE_S": "10",
        }
        served = {"DATABASE_URL": login, "ALLOWED_ORIGINS": ORIGIN, "API_PORT": "0"}
        with open_workshop(login, **settings) as workshop:
            service = ServiceProcess(
                ["serve"], Path(folder) / "service.log", {**settings, **served}
            )
            try:
                worker = asyncio.run(workshop.ready())
                asyncio.run(service.ready())
                yield Crew(worker, service, realtime_url)
                worker.ask_to_stop()
                assert asyncio.run(worker.ended()) == 0, worker.log_text()
            finally:
                service.kill()


@contextmanager
def _realtime(stack: Stack) -> Iterator[str]:
    """Yield the address of the project, or of a stand-in that adds what it lacks."""
    if stack.facts.get("has_realtime"):
        yield stack.facts["supabase_url"]
        return
    with realtime_of(stack) as stand_in:
        yield stand_in.url
