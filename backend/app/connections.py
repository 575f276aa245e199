"""The way to the database, as the settings have it."""

from contextlib import AbstractAsyncContextManager

from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.listener import PostgresWakeups
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.wakeups import Wakeups
from backend.settings import Settings

_STATEMENT_TIMEOUT_S = 10.0


def open_gateway(
    settings: Settings,
    clock: Clock,
    name: str,
    *,
    size: int,
    timeout_s: float = _STATEMENT_TIMEOUT_S,
) -> AbstractAsyncContextManager[Gateway]:
    """Return a pool of so many connections at most, known to the server by this name."""
    # A call that outlasts the lease has nothing left to say.
    timeout_s = min(timeout_s, settings.worker_lease_s)
    if settings.database_url:
        return AsyncpgGateway(
            settings.database_url.get_secret_value(),
            clock,
            size=size,
            timeout_s=timeout_s,
            through_pooler=settings.uses_transaction_pooler,
            name=name,
        )
    # Who has a login does not pay for the import.
    from backend.integrations.supabase.gateway_postgrest import (  # noqa: PLC0415
        PostgrestGateway,
    )

    secret = settings.supabase_secret_key
    return PostgrestGateway(
        settings.supabase_url or "",
        clock,
        secret_key=secret.get_secret_value() if secret else "",
        publishable_key=settings.supabase_publishable_key,
        size=size,
        timeout_s=timeout_s,
        name=name,
    )


def wakeups_of(settings: Settings, clock: Clock, channel: str) -> Wakeups:
    """Return what is heard on the channel; over the Data API nothing can be."""
    if settings.database_url is None:
        return PostgresWakeups("", clock, mode="off", channel=channel)
    url = settings.database_url.get_secret_value()
    return PostgresWakeups(url, clock, mode=settings.worker_listen, channel=channel)
