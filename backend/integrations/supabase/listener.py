"""Wake-ups by LISTEN on a connection of its own."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import asyncpg
import structlog

from backend.domain.backoff import backoff_s
from backend.errors import AssistantsError, DatabaseUnavailable
from backend.integrations.supabase.sqlstates import CONNECTION_ERRORS, translate
from backend.ports.clock import Clock
from backend.ports.wakeups import GAP

_log = structlog.get_logger()
LISTENING_STARTED = "wakeups.listening_started"
LISTENING_LOST = "wakeups.listening_lost"
LISTENING_IMPOSSIBLE = "wakeups.listening_impossible"
RUNS = "assistants_wake"
"""What workers hear: runs that are ready or being cancelled."""
EVENTS = "assistants_events"
"""What streams hear: sessions with new events, comma-separated."""
_PROBE = "probe:"
_PROBE_S = 2.0
_ALIVE_S = 15.0
_TIMEOUT_S = 10.0
_BASE_S = 0.05
_LIMIT_S = 5.0


class ListenImpossible(Exception):
    """The connection takes LISTEN and delivers nothing: a transaction pooler is in between."""


class PostgresWakeups:
    """Hears the channel; listens again after every loss."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        mode: Literal["auto", "on", "off"],
        channel: str = RUNS,
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: The service's login.
            clock: Waits, and names the probes.
            mode: `auto` gives up where LISTEN delivers nothing; `on` tries again for ever.
            channel: What is heard.
        """
        self._url = url
        self._clock = clock
        self._mode = mode
        self._channel = channel

    async def deliver(
        self, wake: Callable[[str], None], deaf: Callable[[], None] = lambda: None
    ) -> None:
        """Call `wake` with each payload; return only where no wake-ups can be had."""
        failures = 0
        while self._mode != "off":
            try:
                await self._listen(wake)
            except ListenImpossible:
                _log.warning(LISTENING_IMPOSSIBLE, mode=self._mode)
                deaf()
                if self._mode == "auto":
                    return
            except AssistantsError as error:
                # A login may be refused now and taken later, as while its password changes.
                deaf()
                _log.warning(LISTENING_LOST, code=error.code, failures=failures)
            failures += 1
            await self._clock.sleep(
                backoff_s(
                    min(failures, 8), base_s=_BASE_S, limit_s=_LIMIT_S, jitter=self._clock.random()
                )
            )

    async def _listen(self, wake: Callable[[str], None]) -> None:
        try:
            connection = await self._connect()
            try:
                await self._hear(connection, wake)
            finally:
                connection.terminate()
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            raise translate(error, doing="Listening") from None

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            self._url,
            timeout=_TIMEOUT_S,
            command_timeout=_TIMEOUT_S,
            statement_cache_size=0,
            server_settings={"application_name": "assistants-listener"},
        )

    async def _hear(self, connection: Any, wake: Callable[[str], None]) -> None:
        lost = asyncio.Event()
        probe = _PROBE + self._clock.new_id()
        heard = asyncio.Event()

        def on_notice(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
            if payload == probe:
                heard.set()
            elif not payload.startswith(_PROBE):
                wake(payload)

        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(self._channel, on_notice)
        await self._announce(probe)
        if not await self._clock.wait(heard, _PROBE_S):
            raise ListenImpossible
        _log.info(LISTENING_STARTED)
        # Whatever was announced before this moment went unheard.
        wake(GAP)
        while not await self._clock.wait(lost, _ALIVE_S):
            # A peer that vanished without a word is noticed by asking.
            await connection.execute("select 1")
        raise DatabaseUnavailable("The listening connection was lost.")

    async def _announce(self, probe: str) -> None:
        # From elsewhere: a pooler may bring a notification back to whoever sends it, and to nobody
        # else.
        connection = await self._connect()
        try:
            await connection.execute(f"notify {self._channel}, '{probe}'")
        finally:
            connection.terminate()
