"""The composition root of the service: names its concrete classes."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from backend.api.application import create_app
from backend.api.health import Readiness
from backend.devkit.offline_model import OfflineModel
from backend.domain.checks import Check, fails
from backend.domain.ids import WorkerId
from backend.errors import DatabaseUnavailable, ModelNotFound
from backend.integrations.clerk.checks import check_issuer
from backend.integrations.supabase import bundle, migrations
from backend.integrations.supabase.checks import WORKER_NAME, check_database, look
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.keys import check_keys
from backend.integrations.supabase.listener import PostgresWakeups
from backend.integrations.supabase.service_role import create_service_role
from backend.ports.clock import Clock, SystemClock
from backend.ports.models import LLMProvider, ModelCatalogue
from backend.runs.execution import RunLimits
from backend.runs.queue import RunQueue
from backend.runs.worker import Worker, WorkerLimits, WorkerParts
from backend.settings import OwnerSettings, Settings
from backend.telemetry import logs

_STATEMENT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `migrate` has done."""

    applied: list[str]
    """Versions, oldest first; empty where the schema was up to date."""
    service_url: str | None
    """The service's new login, a secret; None where none was asked for."""


class PrefixCatalogue:
    """Finds the provider by what stands before the colon of a model id."""

    def __init__(self, providers: dict[str, LLMProvider]) -> None:
        self._providers = providers

    def find(self, model: str) -> tuple[LLMProvider, str]:
        """Return the provider and its own name for the model.

        Raises:
            ModelNotFound: No provider has this prefix.
        """
        prefix, _, name = model.partition(":")
        if prefix not in self._providers or not name:
            raise ModelNotFound(f"No provider serves {prefix!r}.")
        return self._providers[prefix], name


def work(settings: Settings) -> None:
    """Answer messages until SIGTERM or SIGINT, then finish or give back what is under way."""
    logs.configure(settings.log_level)
    asyncio.run(work_with(settings, catalogue(settings, SystemClock())))


async def work_with(settings: Settings, models: ModelCatalogue) -> None:
    """Answer messages with these models until a signal comes."""
    async with open_worker(settings, models) as worker:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()


@asynccontextmanager
async def open_worker(settings: Settings, models: ModelCatalogue) -> AsyncIterator[Worker]:
    """Yield a worker that is ready to run; its connections are closed afterwards."""
    clock = SystemClock()
    async with (
        _gateway(settings, clock, size=settings.database_pool) as gateway,
        # Leases must not run out because every connection of the pool waits for a lock.
        _gateway(settings, clock, size=1) as pulse,
    ):
        yield _worker(settings, (gateway, pulse), models, clock)


def serve(settings: Settings) -> None:
    """Answer HTTP until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    app = create_app(lambda: _probe(settings))
    level = settings.log_level.lower()
    uvicorn.run(app, host=settings.api_host, port=settings.api_port, log_level=level)


def migrate(settings: OwnerSettings, *, service_role: bool) -> Migrated:
    """Bring the database up to date; with `service_role` make the service's login as well.

    Raises:
        MigrationRefused: The history and the files disagree, or a statement failed.
        ServiceRoleRefused: The host does not let this login make roles.
    """
    admin_url = settings.admin_database_url.get_secret_value()
    return asyncio.run(_migrate(admin_url, service_role=service_role))


def doctor(settings: Settings) -> list[Check]:
    """Return what was found, the unhealthy with what to do about it."""
    return asyncio.run(_examine(settings))


def catalogue(settings: Settings, clock: Clock) -> ModelCatalogue:
    """Return who serves which model."""
    return PrefixCatalogue({"offline": OfflineModel(clock, trials=settings.offline_trials)})


def _gateway(settings: Settings, clock: Clock, *, size: int) -> AsyncpgGateway:
    return AsyncpgGateway(
        settings.database_url.get_secret_value(),
        clock,
        size=size,
        # A call that outlasts the lease has nothing left to say.
        timeout_s=min(_STATEMENT_TIMEOUT_S, settings.worker_lease_s),
        through_pooler=settings.uses_transaction_pooler,
        name=WORKER_NAME,
    )


def _worker(
    settings: Settings,
    gateways: tuple[AsyncpgGateway, AsyncpgGateway],
    models: ModelCatalogue,
    clock: Clock,
) -> Worker:
    name = WorkerId(f"{socket.gethostname()}-{os.getpid()}-{clock.new_id()[:8]}")
    url = settings.database_url.get_secret_value()
    limits = WorkerLimits(
        concurrency=settings.worker_concurrency,
        lease_s=settings.worker_lease_s,
        drain_s=settings.worker_drain_s,
        poll_s=settings.worker_poll_s,
        run=RunLimits(settings.worker_max_rounds, settings.worker_max_text_bytes),
    )
    queue, pulse = (
        RunQueue(gateway, name, lease_s=settings.worker_lease_s) for gateway in gateways
    )
    wakeups = PostgresWakeups(url, clock, mode=settings.worker_listen)
    return Worker(WorkerParts(name, queue, pulse, models, wakeups), limits, clock)


async def _migrate(admin_url: str, *, service_role: bool) -> Migrated:
    applied = await migrations.apply(admin_url)
    return Migrated(applied, await create_service_role(admin_url) if service_role else None)


async def _probe(settings: Settings) -> Readiness:
    try:
        seen = await look(settings.database_url.get_secret_value())
    except DatabaseUnavailable:
        return Readiness(database=False, schema=False, worker=False)
    newest = bundle.migrations()[-1].version
    return Readiness(database=True, schema=seen.schema_version == newest, worker=seen.worker)


async def _examine(settings: Settings) -> list[Check]:
    found = await check_database(settings.database_url.get_secret_value())
    found += check_keys(settings.supabase_url, _keys(settings))
    if settings.clerk_issuer is None:
        advice = "Set CLERK_ISSUER to the Frontend API URL of your Clerk instance."
        return [*found, fails("issuer", "CLERK_ISSUER is not set", advice)]
    return [*found, *await check_issuer(settings.clerk_issuer)]


def _keys(settings: Settings) -> dict[str, str | None]:
    secret = settings.supabase_secret_key
    return {
        "SUPABASE_PUBLISHABLE_KEY": settings.supabase_publishable_key,
        "SUPABASE_SECRET_KEY": secret.get_secret_value() if secret else None,
    }
