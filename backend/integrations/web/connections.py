"""Names are resolved, checked and connected to in one step, so that no second answer counts."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import httpcore2
import httpx2
import structlog

from backend.errors import ToolRefused
from backend.integrations.web.addresses import is_reachable
from backend.integrations.web.reach import Reach, plain_name

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
_PRIVATE = "it lies in a private network: if it is yours, name it in TOOLS_PRIVATE_HOSTS"
_log = structlog.get_logger()
_REFUSED = "host.refused"
_MOST_CONNECTIONS = 100
_MOST_IDLE = 20
_CONNECT_S = 5.0
_MOST_ADDRESSES = 4
_RESOLVING = ThreadPoolExecutor(4, thread_name_prefix="resolve")


class Unreachable(httpcore2.ConnectError):
    """The host may not be connected to: all or some of its addresses are nobody else's business."""

    advice = ""
    """To the operator."""


async def resolve(name: str, port: int) -> Sequence[str]:
    """Return the addresses of the name, as the system knows them.

    Raises:
        OSError: It has none.
    """
    # Threads of its own: a name server that says nothing must not hold up anybody else's names.
    asked = partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, asked)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to hosts within reach, and to the very addresses that it has checked."""

    def __init__(self, reach: Reach, resolving: Resolve = resolve) -> None:
        self._reach = reach
        self._resolve = resolving
        self._below = httpcore2.AnyIOBackend()
        self._told: set[tuple[str, int]] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Return a stream to the first address of the host that answers.

        Raises:
            Unreachable: The host, or one of its addresses, may not be asked.
            httpcore2.NetworkError: None of them answers.
        """
        failed: Exception | None = None
        for address in await self.addresses(host, port, timeout or _CONNECT_S):
            try:
                return await self._below.connect_tcp(
                    address, port, timeout or _CONNECT_S, local_address, socket_options
                )
            except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                failed = error
        raise failed or httpcore2.ConnectError("The host has no address.")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse.

        Raises:
            Unreachable: Always.
        """
        del path, timeout, socket_options
        raise Unreachable("No sockets of this machine.")

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await self._below.sleep(seconds)

    async def addresses(self, host: str, port: int, timeout_s: float = _CONNECT_S) -> Sequence[str]:
        """Return those of the host that may be connected to.

        Raises:
            Unreachable: The host, or one of its addresses, may not be asked.
            httpcore2.NetworkError: It has none, or not in time.
        """
        try:
            name = plain_name(host)
            self._reach.check(name, port)
        except ToolRefused as refused:
            raise Unreachable(str(refused)) from None
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._resolve(name, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("The name was not resolved in time.") from None
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("The name has no address.") from None
        or_private = self._reach.may_be_private(name, port)
        # One address of a private network among others is an attack, or a mistake like one.
        if not all(is_reachable(address, or_private=or_private) for address in found):
            raise self._refusal(name, port, found)
        return found[:_MOST_ADDRESSES]

    def _refusal(self, name: str, port: int, found: Iterable[str]) -> Unreachable:
        refusal = Unreachable("This host lies in a network that is not asked.")
        if all(is_reachable(address, or_private=True) for address in found):
            refusal.advice = _PRIVATE
        # Of hosts that users name the log holds nothing.
        if self._reach.hosts is not None and (name, port) not in self._told:
            self._told.add((name, port))
            _log.warning(_REFUSED, host=name, port=port, why=refusal.advice or str(refusal))
        return refusal


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """The library's own, on connections of ours."""

    def __init__(
        self, reach: Reach, resolving: Resolve = resolve, max_bytes: int | None = None
    ) -> None:
        super().__init__(trust_env=False)
        self._max_bytes = max_bytes
        # The library has no parameter for it; tests show that the guard is asked.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(reach, resolving),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer; reading more of it than may be is an error."""
        if self._max_bytes is None:
            return await super().handle_async_request(request)
        # Unpacking is what makes little much: nobody is asked to pack.
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("The answer is packed, which nobody asked for.")
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(response.stream, self._max_bytes)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """A stream that is an error behind so many bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise httpx2.ReadError("The answer is too long.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def open_client(
    reach: Reach,
    *,
    silence_s: float = 60.0,
    resolving: Resolve = resolve,
    max_bytes: int | None = None,
) -> httpx2.AsyncClient:
    """Return a client that asks nobody out of reach, and knows no proxy and no redirect.

    Args:
        reach: Which hosts may be asked.
        silence_s: How long one waits for the next bytes.
        resolving: From a name to its addresses.
        max_bytes: Of each answer, which then must not be packed.
    """
    timeout = httpx2.Timeout(silence_s, connect=_CONNECT_S, pool=_CONNECT_S)
    return httpx2.AsyncClient(
        transport=GuardedTransport(reach, resolving, max_bytes),
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )
