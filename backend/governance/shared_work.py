"""Of those who want the same at the same time one makes it, and the others wait for it.

Within a process they wait for the leader's word; across processes they come back, at growing
intervals and not for ever: who has waited for long enough makes it alone.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from backend.domain.backoff import backoff_s
from backend.domain.json_values import Json
from backend.ports.caches import CacheName, Caches, Entry, Hit, Key
from backend.ports.clock import Clock

_LEASE_S = 60.0
_BASE_S = 0.05
_LIMIT_S = 1.0
_PATIENCE_S = 30.0


@dataclass(slots=True)
class _Flight:
    """Somebody of this process makes the value, or waits for it."""

    landed: asyncio.Event = field(default_factory=asyncio.Event)
    value: Hit | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """The right and the duty to make a value; ends by `land`, `pass_on` or `give_up`."""

    key: Key
    holder: str
    flight: _Flight


Boarding: TypeAlias = Hit | Lead


class SharedWork:
    """One cache, in which work is shared."""

    def __init__(
        self, cache: CacheName, caches: Caches, clock: Clock, *, patience_s: float = _PATIENCE_S
    ) -> None:
        """Ready.

        Args:
            cache: Which one.
            caches: Where values are kept.
            clock: Of the waiting.
            patience_s: For how long another process is waited for.
        """
        self._cache: CacheName = cache
        self._caches = caches
        self._clock = clock
        self._patience_s = patience_s
        self._flights: dict[Key, _Flight] = {}

    async def board(self, key: Key) -> Boarding:
        """Return the value as soon as it is there, or the lead once it is one's turn."""
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.value is not None:
                return flight.value
        lead = Lead(key, self._clock.new_id(), _Flight())
        self._flights[key] = lead.flight
        try:
            found = await self._turn(lead)
        except BaseException:
            self._end(lead, None)
            raise
        if found is None:
            return lead
        self._end(lead, found)
        return found

    async def land(
        self, lead: Lead, value: Json, *, owner: str, ttl_s: float | None = None
    ) -> None:
        """The value is made: whoever waits has it, and it is kept.

        Args:
            lead: Of whoever made it.
            value: What they made.
            owner: For whom.
            ttl_s: For how long; None: as long as the cache allows.
        """
        self._end(lead, Hit(value))
        await self._caches.keep(self._cache, [Entry(lead.key, value, ttl_s, owner)])

    async def pass_on(self, lead: Lead, value: Json) -> None:
        """Whoever waits in this process has the value; it is not kept, and the next one leads."""
        self._end(lead, Hit(value))
        await self._caches.release(self._cache, lead.key, lead.holder)

    async def give_up(self, lead: Lead) -> None:
        """There is no value: whoever waits comes next."""
        self._end(lead, None)
        await self._caches.release(self._cache, lead.key, lead.holder)

    async def _turn(self, lead: Lead) -> Hit | None:
        ends_at = self._clock.monotonic() + self._patience_s
        attempt = 0
        while self._clock.monotonic() < ends_at:
            turn = await self._caches.lead(self._cache, lead.key, lead.holder, _LEASE_S)
            if isinstance(turn, Hit):
                return turn
            if turn == "lead":
                return None
            jitter = self._clock.random()
            pause_s = backoff_s(attempt, base_s=_BASE_S, limit_s=_LIMIT_S, jitter=jitter)
            await self._clock.sleep(pause_s)
            attempt += 1
        return None

    def _end(self, lead: Lead, value: Hit | None) -> None:
        if self._flights.get(lead.key) is lead.flight:
            del self._flights[lead.key]
        lead.flight.value = value
        lead.flight.landed.set()
