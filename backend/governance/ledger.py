"""The ledger in the database: calls that end at the same time are written together.

While one write is under way the next calls gather for the following one, so that a worker has one
statement at a time however many runs it serves. A database that is away keeps nobody waiting for
long and loses nothing for as long as the process lives.
"""

import asyncio
from dataclasses import dataclass

import structlog

from backend.domain.backoff import backoff_s
from backend.domain.json_values import JsonObject
from backend.errors import AssistantsError, DatabaseRejected, InputInvalid
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.ledger import ModelCall

LEDGER_BEHIND = "ledger.behind"
LEDGER_REFUSED = "ledger.refused"
_PATIENCE_S = 2.0
_MOST_AT_ONCE = 200
_BASE_S = 0.25
_LIMIT_S = 15.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Entry:
    call: ModelCall
    ended_at: float
    stored: asyncio.Event


class DatabaseLedger:
    """Writes calls by `engine.record_calls`."""

    def __init__(self, gateway: Gateway, clock: Clock, *, patience_s: float = _PATIENCE_S) -> None:
        """Nothing is written yet.

        Args:
            gateway: The way to the database.
            clock: Ages calls that wait, and spreads retries.
            patience_s: How long `record` waits at most.
        """
        self._gateway = gateway
        self._clock = clock
        self._patience_s = patience_s
        self._waiting: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None
        self._failures = 0
        self._suspects = 0

    @property
    def unwritten(self) -> int:
        """How many calls are not stored yet."""
        return len(self._waiting)

    async def record(self, call: ModelCall) -> None:
        """The call is stored, or was waited for long enough and will be."""
        await self._clock.wait(self._take(call), self._patience_s)

    def note(self, call: ModelCall) -> None:
        """The call will be stored soon."""
        self._take(call)

    async def drain(self, seconds: float) -> int:
        """Return how many calls could not be stored within so many seconds; for the end of a process."""
        last = self._waiting[-1].stored if self._waiting else None
        if last is not None:
            await self._clock.wait(last, seconds)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        return self.unwritten

    def _take(self, call: ModelCall) -> asyncio.Event:
        entry = _Entry(call, self._clock.monotonic(), asyncio.Event())
        self._waiting.append(entry)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return entry.stored

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting[: 1 if self._suspects else _MOST_AT_ONCE]
            try:
                await self._gateway.call("engine.record_calls", {"p_calls": self._rows(batch)})
            except (DatabaseRejected, InputInvalid) as error:
                if len(batch) > 1:
                    # One of them: each by itself, so that the others are stored.
                    self._suspects = len(batch)
                    continue
                _log.error(LEDGER_REFUSED, code=error.code, call_id=batch[0].call.call_id)
            except AssistantsError as error:
                await self._rest(error)
                continue
            self._done(batch)

    def _done(self, batch: list[_Entry]) -> None:
        self._failures = 0
        self._suspects = max(0, self._suspects - len(batch))
        del self._waiting[: len(batch)]
        for entry in batch:
            entry.stored.set()

    async def _rest(self, error: AssistantsError) -> None:
        if not self._failures:
            _log.warning(LEDGER_BEHIND, code=error.code, calls=self.unwritten)
        jitter = self._clock.random()
        pause_s = backoff_s(self._failures, base_s=_BASE_S, limit_s=_LIMIT_S, jitter=jitter)
        self._failures += 1
        await self._clock.sleep(pause_s)

    def _rows(self, batch: list[_Entry]) -> list[JsonObject]:
        now = self._clock.monotonic()
        return [_row(entry.call, max(0.0, now - entry.ended_at)) for entry in batch]


def _row(call: ModelCall, age_s: float) -> JsonObject:
    asker = call.asker
    return {
        "id": call.call_id,
        "age_s": age_s,
        "run_id": asker.run_id if asker else None,
        "user_id": asker.user_id if asker else None,
        "org_id": asker.org_id if asker else None,
        "assistant_id": asker.assistant_id if asker else None,
        "provider": call.provider,
        "model": call.model,
        "asked_model": call.asked_model or None,
        **call.usage.as_json(),
        "is_estimated": call.is_estimated,
        "outcome": call.outcome,
        "cost_usd": call.cost_usd,
        "duration_ms": call.duration_ms,
        "first_token_ms": call.first_token_ms,
    }
