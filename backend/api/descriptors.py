"""How many connections the system lets this process have."""

import resource
from contextlib import suppress

_RESERVE = 192
"""For a batch of connections that are taken at once (128), the database, logs, the issuer's keys."""


def raise_limit() -> None:
    """The process may open as many files and sockets as it can be allowed to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """Return how many connections leave room for the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft - _RESERVE)
