"""One request: checked redirects, bounded in time and size."""

import asyncio
import zlib
from dataclasses import replace
from types import TracebackType
from typing import Self

import httpcore2
import httpx2

from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.web.connections import (
    GuardedBackend,
    Resolve,
    Unreachable,
    open_client,
    resolve,
)
from backend.integrations.web.reach import Reach, port_of
from backend.ports.http import HttpAnswer, HttpRequest
from backend.ports.web import Fetched

_MOST_REDIRECTS = 3
_AGENT = "supa-assistants"
_KEPT_METHOD = (307, 308)
_REDIRECTS = (301, 302, 303, *_KEPT_METHOD)
_OK = 200
_BUSY = 500


class GuardedHttp:
    """An HttpClient, and a Fetcher of what anybody may have."""

    def __init__(self, reach: Reach, *, resolving: Resolve = resolve) -> None:
        self._reach = reach
        self._client = open_client(reach, resolving=resolving)
        self._backend = GuardedBackend(reach, resolving)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer, after at most three redirects.

        Raises:
            ToolRefused: The address is none that may be asked, or the answer is too long.
            ToolUnavailable: No answer, or not in time.
        """
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._follow(request)
        except TimeoutError:
            raise ToolUnavailable(f"No answer within {request.timeout_s:g} s.") from None

    async def check(self, url: str) -> None:
        """Return quietly if the host of the URL may be connected to; it is not asked.

        Raises:
            ToolRefused: It may not; the message says what the operator can do about it.
            ToolUnavailable: It has no address now.
        """
        host = self._reach.parse(url)
        name = host.raw_host.decode("ascii")
        try:
            await self._backend.addresses(name, port_of(host))
        except Unreachable as refused:
            raise ToolRefused(f"{name}:{port_of(host)}: {refused.advice or refused}") from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            raise ToolUnavailable(f"{name} has no address.") from None

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return what lies there now.

        Raises:
            ToolRefused: The address may not be asked, answers with an error, or with too much.
            ToolUnavailable: Nobody answers, or not in time.
        """
        request = HttpRequest("GET", url, max_bytes=max_bytes, timeout_s=timeout_s)
        answer = await self.send(request)
        if answer.status >= _BUSY:
            raise ToolUnavailable(f"It answers with status {answer.status}.")
        if answer.status != _OK:
            raise ToolRefused(f"It answers with status {answer.status}.")
        return Fetched(answer.content_type, answer.body)

    async def _follow(self, request: HttpRequest) -> HttpAnswer:
        for _ in range(_MOST_REDIRECTS + 1):
            url = self._reach.parse(request.url)
            answer = await self._once(url, request)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            request = _redirected(request, url, location, answer.status)
        raise ToolRefused("It leads from one address to the next.")

    async def _once(self, url: httpx2.URL, request: HttpRequest) -> HttpAnswer:
        # Unpacking is what makes little much: nobody is asked to pack.
        headers = {"user-agent": _AGENT, **request.headers, "accept-encoding": "identity"}
        try:
            sent = self._client.build_request(
                request.method, url, headers=headers, content=request.body
            )
            response = await self._client.send(sent, stream=True)
            try:
                body = await _body(response, request.max_bytes)
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise _problem(error) from None
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            raise ToolRefused("This cannot be asked for.") from None
        told = {name.lower(): value for name, value in response.headers.items()}
        kind = told.get("content-type", "").partition(";")[0].strip().lower()
        return HttpAnswer(response.status_code, kind, body, told)


def _problem(error: httpx2.HTTPError) -> ToolRefused | ToolUnavailable:
    if isinstance(error.__cause__, Unreachable):
        return ToolRefused(str(error.__cause__))
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return ToolRefused("This cannot be asked for.")
    return ToolUnavailable(f"No answer ({type(error).__name__}).")


def _redirected(request: HttpRequest, url: httpx2.URL, location: str, status: int) -> HttpRequest:
    try:
        target = url.join(location)
    except (httpx2.InvalidURL, ValueError):
        raise ToolRefused("It leads to no address of the web.") from None
    if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
        raise ToolRefused("It leads to an address without TLS.")
    is_same = (target.host, port_of(target)) == (url.host, port_of(url))
    is_kept = status in _KEPT_METHOD or request.method in ("GET", "HEAD")
    if request.body is not None and is_kept and not is_same:
        raise ToolRefused("It wants what was sent to be sent to another host.")
    # Whatever the headers hold is meant for the host that was named.
    headers = request.headers if is_same else {}
    moved = replace(request, url=str(target), headers=headers)
    return moved if is_kept else replace(moved, method="GET", body=None)


async def _body(response: httpx2.Response, max_bytes: int) -> bytes:
    overlong = ToolRefused(f"The answer is longer than {max_bytes} bytes.")
    if int(response.headers.get("content-length", 0)) > max_bytes:
        raise overlong
    unpacking = _unpacking(response.headers.get("content-encoding", ""))
    body = bytearray()
    async for piece in response.aiter_raw():
        try:
            body += unpacking.decompress(piece, max_bytes + 1) if unpacking else piece
        except zlib.error:
            raise ToolRefused("The answer cannot be unpacked.") from None
        if len(body) > max_bytes:
            raise overlong
    if unpacking and not unpacking.eof:
        raise ToolUnavailable("The answer ends in its midst.")
    return bytes(body)


def _unpacking(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "identity" | "":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        case _:
            raise ToolRefused("The answer is packed in a way that nobody asked for.")
