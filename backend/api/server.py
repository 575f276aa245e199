"""Runs the application until a signal comes, then lets it finish what it has begun."""

import asyncio
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.types import ASGIApp

from backend.api.connection import Connection
from backend.api.descriptors import raise_limit
from backend.api.listener import bind
from backend.telemetry.names import SERVICE_LISTENING, SERVICE_STOPPED, SERVICE_STOPPING

_log = structlog.get_logger()
_LOOK_S = 0.02
_LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How patient the server is."""

    grace_s: float = 20.0
    """From the first signal until answers under way are broken off."""
    head_s: float = 15.0
    """For the head of a request, from its first byte or from the connection's first moment."""
    head_bytes: int = 32_768
    """A session token and what browsers add."""
    keep_alive_s: int = 75
    """Longer than load balancers keep theirs, so that they never use one that is being closed."""


async def serve(
    app: ASGIApp, host: str, port: int, *, on_stop: Callable[[], None], grace_s: float
) -> None:
    """Answer until SIGTERM or SIGINT, then finish; a second signal hurries.

    Args:
        app: Answers.
        host: The address to listen on.
        port: 0 for any that is free: the log says which, as `service.listening`.
        on_stop: Called at each signal; ends what would go on for ever, such as streams.
        grace_s: From the first signal until answers under way are broken off.

    Raises:
        SettingsInvalid: API_HOST or API_PORT cannot be had.
    """
    raise_limit()
    listener = bind(host, port)
    server = Server(app, on_stop=on_stop, limits=ServerLimits(grace_s=grace_s))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # For as long as the loop lives: our caller has more to finish when we are done, and must
        # not be killed by a second signal.
        loop.add_signal_handler(number, server.stop)
    await server.serve([listener])


class Server(uvicorn.Server):
    """Uvicorn's, with an end that is ours: its own exits by the signal, after whole seconds."""

    def __init__(
        self, app: ASGIApp, *, on_stop: Callable[[], None], limits: ServerLimits | None = None
    ) -> None:
        """Nothing listens yet.

        Args:
            app: Answers.
            on_stop: Called at each signal.
            limits: How patient to be.
        """
        self._limits = limits or ServerLimits()
        self._on_stop = on_stop
        self._headless: dict[Connection, float] = {}
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=self._limits.keep_alive_s,
                h11_max_incomplete_event_size=self._limits.head_bytes,
                # As many tries follow each other where no descriptor is left.
                backlog=128,
                reset_contextvars=True,
            )
        )

    def stop(self) -> None:
        """Take no more connections and let the answers end; a second time: break them off."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_stop()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until stopped; afterwards no connection is open, whatever happened."""
        try:
            await super().serve(sockets)
        finally:
            for listener in sockets or ():
                listener.close()
            await self._break_off()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: `serve` decides about them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port, *_ = listener.getsockname()
            _log.info(SERVICE_LISTENING, host=host, port=port)

    async def on_tick(self, counter: int) -> bool:
        """Look after connections once a second; return whether to stop."""
        if counter % 10 == 0:
            self._drop_headless()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle, and wait for the rest as long as patience lasts."""
        state = self.server_state
        _log.info(SERVICE_STOPPING, answers=len(state.tasks))
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.grace_s
        # A connection may outlast its task: until its last bytes are with the kernel.
        while (state.tasks or state.connections) and not self.force_exit:
            if loop.time() >= deadline:
                break
            await asyncio.sleep(_LOOK_S)
        _log.info(SERVICE_STOPPED, broken_off=len(state.tasks))

    async def _break_off(self) -> None:
        state = self.server_state
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_LAST_WORDS_S)
        for connection in list(state.connections):
            connection.transport.abort()

    def _drop_headless(self) -> None:
        now = asyncio.get_running_loop().time()
        waiting = [
            connection
            for connection in self.server_state.connections
            if isinstance(connection, Connection) and connection.waits_for_head
        ]
        self._headless = {it: self._headless.get(it, now) for it in waiting}
        for connection, since in self._headless.items():
            if now - since >= self._limits.head_s:
                connection.transport.abort()
