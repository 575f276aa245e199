"""The way to the database, as the settings have it."""

from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.ports.clock import Clock
from backend.settings import Settings

_STATEMENT_TIMEOUT_S = 10.0


def open_gateway(
    settings: Settings,
    clock: Clock,
    name: str,
    *,
    size: int,
    timeout_s: float = _STATEMENT_TIMEOUT_S,
) -> AsyncpgGateway:
    """Return a pool of so many connections at most, known to the server by this name."""
    return AsyncpgGateway(
        settings.database_url.get_secret_value(),
        clock,
        size=size,
        # A call that outlasts the lease has nothing left to say.
        timeout_s=min(timeout_s, settings.worker_lease_s),
        through_pooler=settings.uses_transaction_pooler,
        name=name,
    )
