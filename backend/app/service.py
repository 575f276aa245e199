"""The HTTP service, put together."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import structlog
from fastapi import FastAPI

from backend.api import server
from backend.api.application import ServiceParts, create_app
from backend.api.health import Readiness
from backend.api.models import model_routes
from backend.api.streams.hub import StreamHub
from backend.api.streams.routes import StreamParts, stream_routes
from backend.api.webhooks import webhook_routes
from backend.app.allowed_models import allowed_models
from backend.app.connections import open_gateway, wakeups_of
from backend.app.models import open_models
from backend.app.worker import open_worker
from backend.errors import AssistantsError, DependencyFailed, SchemaMissing, SettingsInvalid
from backend.integrations.clerk.jwks import KeySet
from backend.integrations.clerk.tokens import ClerkTokenVerifier
from backend.integrations.supabase import bundle
from backend.integrations.supabase.listener import EVENTS
from backend.ports.clock import Clock, SystemClock
from backend.ports.gateway import Gateway
from backend.runs.drain import end
from backend.runs.event_source import EventSource
from backend.runs.loops import repeat
from backend.runs.worker import Worker
from backend.settings import Settings
from backend.telemetry import logs, names
from backend.telemetry.defects import explain

_NAME = "assistants-service"
_GRACE_S = 20.0
# Less than a webhook waits.
_WAKE_S = 0.5
# Workers report every five seconds.
_WORKER_SEEN_S = 15.0
_PROBE_S = 3.0
_READINESS = ("engine.readiness", {"p_max_age_s": _WORKER_SEEN_S})
_log = structlog.get_logger()


def serve(settings: Settings, *, with_worker: bool) -> None:
    """Answer HTTP until SIGTERM or SIGINT; then the streams end, and runs under way finish.

    Args:
        settings: Of this process.
        with_worker: Answer messages in this process, too; a webhook wakes its worker at once.
    """
    logs.configure(settings.log_level, folder=settings.log_folder, process="service")
    asyncio.run(_serve(settings, with_worker=with_worker))


async def _serve(settings: Settings, *, with_worker: bool) -> None:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened = open_gateway(settings, clock, _NAME, size=settings.database_pool)
        gateway = await stack.enter_async_context(opened)
        # Streams that are opened, thousands at once perhaps, delay neither those that are open nor
        # the answer to whether this process is well.
        opened = open_gateway(settings, clock, _NAME, size=2)
        steady = await stack.enter_async_context(opened)
        keys = await stack.enter_async_context(KeySet(_issuer(settings), clock))
        streams = _streams(settings, clock, (gateway, steady), keys)
        worker = None
        if with_worker:
            models = partial(open_models, settings, clock)
            working = open_worker(settings, models, near=[streams.hub.hear])
            worker = await stack.enter_async_context(working)
        app = create_app(_service(settings, steady, streams, worker))
        await _look(steady)
        await _run(settings, app, streams.hub, worker)


async def _run(settings: Settings, app: FastAPI, hub: StreamHub, worker: Worker | None) -> None:
    clock = SystemClock()
    wakeups = wakeups_of(settings, clock, EVENTS)
    impossible = asyncio.Event()
    told = asyncio.Event()

    async def listen() -> None:
        await wakeups.deliver(hub.hear, hub.go_deaf)
        hub.go_deaf()
        impossible.set()

    def stop() -> None:
        told.set()
        hub.close("shutdown")
        if worker:
            worker.stop()

    loops = [
        asyncio.create_task(repeat(hub.step, clock, name="streams")),
        asyncio.create_task(repeat(hub.sweep, clock, name="sweep")),
        asyncio.create_task(repeat(listen, clock, name="listen", until=impossible.is_set)),
    ]
    working = asyncio.create_task(worker.run()) if worker else None
    try:
        host, port = settings.api_host, settings.api_port
        await server.serve(app, host, port, on_stop=stop, grace_s=_GRACE_S)
    finally:
        if not told.is_set():
            stop()
        if working:
            await working
        await end(loops)


def _streams(
    settings: Settings, clock: Clock, gateways: tuple[Gateway, Gateway], keys: KeySet
) -> StreamParts:
    opening, steady = (EventSource(gateway) for gateway in gateways)
    most, most_per_user = settings.api_max_streams, settings.api_max_streams_per_user
    return StreamParts(
        hub=StreamHub(steady, clock, most=most, most_per_user=most_per_user),
        source=opening,
        verifier=ClerkTokenVerifier(keys, authorized_parties=settings.allowed_origins),
        clock=clock,
        heartbeat_s=settings.api_heartbeat_s,
    )


def _service(
    settings: Settings, gateway: Gateway, streams: StreamParts, worker: Worker | None
) -> ServiceParts:
    async def wake() -> None:
        if worker:
            worker.wake()
        try:
            async with asyncio.timeout(_WAKE_S):
                await gateway.call("engine.wake_workers", {})
        except (DependencyFailed, TimeoutError):
            # The worker at hand has been told; the others also look by themselves.
            if worker is None:
                raise

    secrets = [it for it in (settings.webhook_secret, settings.webhook_secret_previous) if it]
    return ServiceParts(
        probe=lambda: _probe(gateway),
        routers=[
            stream_routes(streams),
            webhook_routes(secrets, wake),
            model_routes(partial(allowed_models, settings, gateway), streams.verifier),
        ],
        allowed_origins=settings.allowed_origins,
    )


def _issuer(settings: Settings) -> str:
    if settings.clerk_issuer is None:
        raise SettingsInvalid("CLERK_ISSUER is not set: `assistants serve` needs it.")
    if settings.transport == "postgrest" and settings.supabase_publishable_key is None:
        raise SettingsInvalid(
            "SUPABASE_PUBLISHABLE_KEY is not set: without DATABASE_URL `assistants serve` needs it."
        )
    return settings.clerk_issuer


async def _look(gateway: Gateway) -> None:
    # Whoever starts it reads the log; later /readyz says that something is missing, not what.
    try:
        async with asyncio.timeout(_PROBE_S):
            await gateway.call(*_READINESS)
    except (AssistantsError, TimeoutError) as error:
        code = error.code if isinstance(error, AssistantsError) else "database_unavailable"
        _log.warning(names.SERVICE_UNREADY, code=code, **explain(error))


async def _probe(gateway: Gateway) -> Readiness:
    try:
        async with asyncio.timeout(_PROBE_S):
            found = await gateway.call(*_READINESS)
    except SchemaMissing:
        return Readiness(database=True, schema=False, worker=False)
    except (AssistantsError, TimeoutError):
        return Readiness(database=False, schema=False, worker=False)
    # Migrations only add: this release runs on a newer schema, too. Others' migrations may be newer
    # than ours in the same history, so the newest of all says nothing.
    has_ours = bundle.migrations()[-1].version in found.get("schema_versions", ())
    return Readiness(database=True, schema=has_ours, worker=found["workers"] > 0)
