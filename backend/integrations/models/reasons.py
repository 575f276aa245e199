"""Why a provider was not reached, or did not answer: what kind of failure, never its words."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
from pydantic_ai.exceptions import ModelHTTPError

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
# The first that is found anywhere in the chain counts.
_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (ssl.SSLError, "tls"),
    (socket.gaierror, "name_not_resolved"),
    (ConnectionRefusedError, "connection_refused"),
    (httpx2.ConnectTimeout, "connect_timed_out"),
    (httpx2.PoolTimeout, "no_free_connection"),
    (httpx2.ReadTimeout, "read_timed_out"),
    (httpx2.WriteTimeout, "write_timed_out"),
    (_NEVER_SENT, "not_connected"),
    (httpx2.TransportError, "connection_lost"),
)


def address_of(base_url: str) -> str:
    """Return host, port and path: never what a log must not hold, such as a password or a query."""
    parts = urlsplit(base_url)
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")


def was_refused(error: Exception) -> bool:
    """Return whether the provider answered with a status of an error, and not with a stream."""
    return isinstance(error, ModelHTTPError) and not error.in_stream


def was_never_sent(error: Exception) -> bool:
    """Return whether there was no connection over which the request could have gone."""
    return any(isinstance(it, _NEVER_SENT) for it in _chain(error))


def reason_of(error: Exception) -> str | None:
    """Return what became of the connection, in a word, or none where it did its part."""
    chain = tuple(_chain(error))
    found = (said for kinds, said in _REASONS if any(isinstance(it, kinds) for it in chain))
    return next(found, None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    ahead: list[BaseException | None] = [error]
    seen: set[int] = set()
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        # Of a name with several addresses each may fail in its own way.
        ahead += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        ahead += (one.__context__, one.__cause__)
