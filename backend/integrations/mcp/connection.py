"""One session with a server, opened when it is needed and again after it broke."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import structlog
from pydantic import BaseModel

from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.mcp.last_words import LastWords
from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.ports.clock import Clock

if TYPE_CHECKING:
    from mcp.client import ClientSession
    from mcp_types import Request

R = TypeVar("R", bound=BaseModel)
_log = structlog.get_logger()
_BROKE = "tools.unreachable"
_CONNECT_S = 20.0
_CLOSE_S = 8.0
_GET_PAUSE_S = 1.0
_MOST_TIMEOUTS = 3
_GONE = "Session terminated"


class Connection:
    """Keeps a session; whoever comes while there is none waits until there is one.

    A session belongs to a task of its own: the SDK's scopes are left by the task that entered them.
    """

    def __init__(self, server: Server, clock: Clock, on_change: Callable[[], None]) -> None:
        """Nothing is connected yet.

        Args:
            server: Which one.
            clock: Keeps the server from having itself asked without a pause.
            on_change: Told whenever the server says that it has other tools now.
        """
        self._server = server
        self._clock = clock
        self._on_change = on_change
        self._opening = asyncio.Lock()
        self._held: _Held | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._timeouts = 0
        self._told: tuple[str, str] | None = None

    async def ask(self, asked: "Request[Any, Any]", kind: type[R], within_s: float) -> R:
        """Return the server's answer to a request.

        Raises:
            ToolRefused: It says no.
            ToolUnavailable: It does not answer, or not as the protocol wants it.
        """
        held = await self._session()
        try:
            return await self._once(held, asked, kind, within_s)
        except _Gone:
            # It has forgotten the session, and so has not looked at what was asked.
            held = await self._session()
            try:
                return await self._once(held, asked, kind, within_s)
            except _Gone:
                raise ToolUnavailable("The server forgets its sessions.") from None

    async def close(self) -> None:
        """The session has ended, and a program with it."""
        if self._held:
            self._drop(self._held)
        if self._ending:
            _, left = await asyncio.wait(self._ending, timeout=_CLOSE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _once(
        self,
        held: "_Held",
        asked: "Request[Any, Any]",
        kind: type[R],
        within_s: float,
    ) -> R:
        from mcp.shared.exceptions import MCPError  # noqa: PLC0415 - a second, and 30 MB
        from mcp_types import REQUEST_TIMEOUT  # noqa: PLC0415

        try:
            found = await held.session.send_request(
                asked, kind, request_read_timeout_seconds=within_s
            )
        except MCPError as error:
            self._timeouts = self._timeouts + 1 if error.code == REQUEST_TIMEOUT else 0
            if _is_broken(error.code, error.message) or self._timeouts >= _MOST_TIMEOUTS:
                self._drop(held)
            raise _problem(error.code, error.message) from None
        except Exception as error:  # noqa: BLE001 - whatever the SDK makes of a wrong answer
            _log.warning(_BROKE, server=self._server.name, error=type(_first(error)).__name__)
            raise ToolUnavailable("The server answers what cannot be read.") from None
        self._timeouts = 0
        return found

    async def _session(self) -> "_Held":
        async with self._opening:
            if self._held is None or self._held.owner.done():
                self._held = await self._opened()
            return self._held

    async def _opened(self) -> "_Held":
        ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        ended = asyncio.Event()
        owner = asyncio.create_task(self._own(ready, ended), name=f"mcp {self._server.name}")
        self._ending.add(owner)
        owner.add_done_callback(self._ending.discard)
        try:
            async with asyncio.timeout(_CONNECT_S):
                return _Held(await ready, owner, ended)
        except TimeoutError:
            owner.cancel()
            self._tell("TimeoutError", f"no answer within {_CONNECT_S:g} s")
            raise ToolUnavailable("The server does not answer.") from None
        except BaseException:
            owner.cancel()
            raise

    async def _own(self, ready: "asyncio.Future[ClientSession]", ended: asyncio.Event) -> None:
        from mcp.client import Client  # noqa: PLC0415

        words = _words(self._server.way)
        try:
            async with AsyncExitStack() as stack:
                if isinstance(self._server.way, AsProgram):
                    stack.enter_context(words)
                transport = _transport(self._server, self._clock, words)
                made = Client(
                    await stack.enter_async_context(transport),
                    cache=None,
                    message_handler=self._hear,
                )
                client = await stack.enter_async_context(made)
                if not ready.done():
                    ready.set_result(client.session)
                self._told = None
                await ended.wait()
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, it is the server's end
            kind = type(_first(error)).__name__
            # A program that has begun to work says in its last line what may be anybody's words.
            self._tell(kind, "" if _is_ready(ready) else _hint(self._server.way, error, words))
            if not ready.done():
                ready.set_exception(ToolUnavailable(f"The server cannot be had ({kind})."))

    def _tell(self, kind: str, said: str) -> None:
        """The log has it, once for each time that the server goes away."""
        if self._told != (kind, said):
            self._told = (kind, said)
            more = {"said": said} if said else {}
            _log.warning(_BROKE, server=self._server.name, error=kind, **more)

    async def _hear(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._on_change()

    def _drop(self, held: "_Held") -> None:
        held.ended.set()
        if self._held is held:
            self._held = None
        self._timeouts = 0


class _Held:
    """A session, and the task that it belongs to."""

    def __init__(
        self, session: "ClientSession", owner: asyncio.Task[None], ended: asyncio.Event
    ) -> None:
        self.session = session
        self.owner = owner
        self.ended = ended


class _Gone(Exception):
    """The server has forgotten the session."""


def _is_broken(code: int, message: str) -> bool:
    from mcp_types import CONNECTION_CLOSED  # noqa: PLC0415

    return code == CONNECTION_CLOSED or message == _GONE


def _problem(code: int, message: str) -> Exception:
    from mcp_types import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND  # noqa: PLC0415

    if message == _GONE:
        return _Gone()
    if code in (INVALID_PARAMS, METHOD_NOT_FOUND, INVALID_REQUEST):
        return ToolRefused(f"The server refuses: {message[:500]}")
    return ToolUnavailable(f"The server fails (code {code}).")


@asynccontextmanager
async def _transport(server: Server, clock: Clock, words: LastWords) -> AsyncIterator[Any]:
    """Yield what the SDK connects by; what it needs is closed afterwards."""
    match server.way:
        case AtAddress() as way:
            async with _client(way, clock) as http:
                from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

                yield streamable_http_client(way.url, http_client=http)
        case AsProgram() as way:
            from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: PLC0415

            told = StdioServerParameters(
                command=way.command,
                args=list(way.arguments),
                env=dict(way.environment),
                cwd=way.folder,
            )
            yield stdio_client(told, errlog=words.file)


@asynccontextmanager
async def _client(way: AtAddress, clock: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    async def prepare(request: httpx2.Request) -> None:
        request.headers.update(way.headers())
        if request.method == "GET":
            # A server that ends its stream of news at once would be asked for it without a pause.
            await clock.sleep(_GET_PAUSE_S)

    async with way.open_http() as http:
        http.event_hooks = {**http.event_hooks, "request": [prepare]}
        yield http


def _words(way: AtAddress | AsProgram) -> LastWords:
    return LastWords(way.environment.values() if isinstance(way, AsProgram) else ())


def _hint(way: AtAddress | AsProgram, error: BaseException, words: LastWords) -> str:
    """Return what the operator can see of why it does not start; empty where nothing is known."""
    if isinstance(way, AtAddress):
        return ""
    first = _first(error)
    if isinstance(first, OSError):
        return f"{way.command} cannot be started in {way.folder or Path.cwd()}: {first.strerror}"
    return words.line or "it has ended, or speaks no MCP, and says nothing on standard error"


def _is_ready(ready: "asyncio.Future[ClientSession]") -> bool:
    return ready.done() and not ready.cancelled() and ready.exception() is None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
