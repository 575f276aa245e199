"""The connections to providers, and how long they may take."""

from dataclasses import dataclass

import httpx2

MOST_ACCOUNTS = 64
"""Clients that a vendor keeps, one for each key; more keys are served, too, a little slower."""
_MOST_CONNECTIONS = 1000
_MOST_IDLE = 100


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call waits before it counts as failed."""

    connect_s: float
    """For a connection, and before that for a free place in the pool."""
    silence_s: float
    """Between two pieces of an answer: models may think for a while before they go on."""


def open_pool(patience: Patience) -> httpx2.AsyncClient:
    """Return a client whose pool has a connection for every run of the busiest worker."""
    timeout = httpx2.Timeout(
        connect=patience.connect_s,
        pool=patience.connect_s,
        read=patience.silence_s,
        write=patience.silence_s,
    )

    async def be_patient(request: httpx2.Request) -> None:
        # Some clients ask for no limit at all, and would wait for ever.
        request.extensions["timeout"] = timeout.as_dict()

    return httpx2.AsyncClient(
        timeout=timeout,
        limits=httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE
        ),
        event_hooks={"request": [be_patient]},
    )
