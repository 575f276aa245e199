"""One key's limit for some models, shared by all workers through slices that the database hands out."""

import asyncio
import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Any

from backend.domain.rates import Rate
from backend.domain.usage import Usage
from backend.governance.gates import PATIENCE_S, limited
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.limits import Asked, Turn

SLICE_S = 2.0
"""For so long a worker may spend what it was handed; what is left goes back with its next question."""
_LEASE = "engine.lease_rate"
_MINUTE_S = 60.0
_OUTPUT_TOKENS = 500.0
"""Of an answer, until some have been seen."""
_MEMORY = 0.1


class Ledger:
    """Asks the database about limits."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._salt: bytes | None = None

    async def hash_of(self, key: str) -> str:
        """Return what the key is known by."""
        if self._salt is None:
            answer = await self._call(models="", key_hash=None)
            self._salt = str(answer["salt"]).encode()
        return hmac.new(self._salt, key.encode(), hashlib.sha256).hexdigest()[:32]

    async def lease(self, **arguments: Any) -> Any:
        """Return what `engine.lease_rate` grants."""
        return await self._call(**arguments)

    async def _call(self, **arguments: Any) -> Any:
        nothing: dict[str, Any] = {
            "p_rates": [None, None],
            "p_least": None,
            "p_most": None,
            "p_patience_s": 0.0,
            "p_is_back": False,
            "p_back": [0.0, 0.0],
            "p_closed_s": None,
        }
        given = {f"p_{name}": value for name, value in arguments.items()}
        return await self._gateway.call(_LEASE, nothing | given)


class SharedRate:
    """What this worker has of it."""

    def __init__(self, ledger: Ledger, rate: Rate, key: str, clock: Clock) -> None:
        """Nothing is handed out yet.

        Args:
            ledger: Of all workers.
            rate: The limit.
            key: The provider's key; it stays here.
            clock: Measures how long a slice lasts.
        """
        self._ledger = ledger
        self._rate = rate
        self._key = key
        self._clock = clock
        self._asking = asyncio.Lock()
        self._waiting = 0
        self._taken = 0
        self._slice = [0.0, 0.0]
        self._slice_until = 0.0
        self._closed_until = 0.0
        self._back = [0.0, 0.0]
        self._output_tokens = _OUTPUT_TOKENS

    async def take(self, asked: Asked) -> Turn:
        """Return once the call may be made.

        Raises:
            ModelRateLimited: Not within a few seconds; says when it is the call's turn.
        """
        output = self._output_tokens if asked.output_tokens is None else asked.output_tokens
        tokens = asked.tokens + output if self._rate.tokens else 0.0
        while True:
            wait_s = await self._reserve(asked, tokens)
            if wait_s:
                await self._clock.sleep(wait_s)
            if self._clock.monotonic() >= self._closed_until:
                return _Spent(self, tokens)
            # The provider has refused another call meanwhile: this one was not made.
            self._back = [self._back[0] + 1, self._back[1] + tokens]
            asked = replace(asked, is_back=True)

    async def _reserve(self, asked: Asked, tokens: float) -> float:
        self._waiting += 1
        try:
            # One question at a time: what it brings may be enough for all who wait behind it.
            async with self._asking:
                wait_s = 0.0 if self._has_spent(tokens) else await self._lease(asked, tokens)
        finally:
            self._waiting -= 1
        self._taken += 1
        return wait_s

    def settle(self, expected: float, usage: Usage) -> None:
        """A call took other than the expected tokens; the next question says so."""
        self._back[1] += expected - (usage.input_tokens + usage.output_tokens)
        self._output_tokens += _MEMORY * (usage.output_tokens - self._output_tokens)

    async def close(self, retry_after_s: float | None) -> None:
        """All workers leave the key alone for so long."""
        rest_s = min(retry_after_s or SLICE_S, _MINUTE_S) * (1 + 0.1 * self._clock.random())
        self._closed_until = max(self._closed_until, self._clock.monotonic() + rest_s)
        async with self._asking:
            await self._ask(closed_s=rest_s)

    def _has_spent(self, tokens: float) -> bool:
        if self._clock.monotonic() >= self._slice_until:
            self._back = [a + b for a, b in zip(self._back, self._slice, strict=True)]
            self._slice = [0.0, 0.0]
        if self._slice[0] < 1 or self._slice[1] < tokens:
            return False
        self._slice = [self._slice[0] - 1, self._slice[1] - tokens]
        return True

    async def _lease(self, asked: Asked, tokens: float) -> float:
        # As many as wait; more, where calls follow each other and nobody else will miss them.
        share = (self._rate.requests or _MINUTE_S * self._waiting) * SLICE_S / _MINUTE_S
        ahead = 2 * self._taken if self._clock.monotonic() < self._slice_until else 0
        calls = max(1.0, min(self._waiting, share) + min(ahead, share // 4))
        self._taken = 0
        answer = await self._ask(
            least=[1.0, tokens],
            most=[calls, calls * tokens],
            patience_s=PATIENCE_S,
            is_back=asked.is_back,
        )
        wait_s = float(answer["wait_s"])
        if not answer["is_granted"]:
            raise limited(wait_s)
        if not wait_s:
            self._slice = [answer["requests"] - 1, answer["tokens"] - tokens]
        self._slice_until = self._clock.monotonic() + SLICE_S
        return wait_s

    async def _ask(self, **arguments: Any) -> Any:
        back = [a + b for a, b in zip(self._back, self._slice, strict=True)]
        self._back, self._slice = [0.0, 0.0], [0.0, 0.0]
        return await self._ledger.lease(
            models=self._rate.models,
            key_hash=await self._ledger.hash_of(self._key),
            rates=[it and it / _MINUTE_S for it in (self._rate.requests, self._rate.tokens)],
            back=back,
            **arguments,
        )


@dataclass(frozen=True, slots=True)
class _Spent:
    rate: SharedRate
    tokens: float

    def answered(self, usage: Usage) -> None:
        self.rate.settle(self.tokens, usage)

    async def refused(self, retry_after_s: float | None) -> None:
        await self.rate.close(retry_after_s)
