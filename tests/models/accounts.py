"""Providers that a test makes, all with one key unless it says otherwise."""

import pkgutil
from collections.abc import Sequence

from backend.app.accounts import HOSTED
from backend.integrations.models.compatible import Compatible
from backend.integrations.models.connections import Patience, open_pool
from backend.integrations.models.hosted import HostedProvider
from backend.integrations.models.keys import FixedKeys, KeyRing, Keys
from backend.ports.clock import Clock, SystemClock
from backend.ports.limits import RateLimits

KEY = "sk-proj-never-seen-anywhere"
PROVIDERS = (*HOSTED, "compatible")
"""All that ask over HTTP."""


class Accounts:
    """Makes providers."""

    def __init__(self) -> None:
        self._made: list[HostedProvider] = []

    def at(  # noqa: PLR0913 - what a test may choose
        self,
        base_url: str,
        provider: str = "openai",
        *,
        keys: Keys | Sequence[str] = (KEY,),
        clock: Clock | None = None,
        silence_s: float = 20,
        connect_s: float = 5,
        limits: RateLimits | None = None,
    ) -> HostedProvider:
        """Return a provider whose API is there."""
        vendor = pkgutil.resolve_name(HOSTED[provider]) if provider in HOSTED else Compatible
        pool = open_pool(Patience(connect_s=connect_s, silence_s=silence_s))
        source = FixedKeys(keys) if isinstance(keys, Sequence) else keys
        ring = KeyRing(source, clock or SystemClock())
        self._made.append(HostedProvider(provider, vendor(pool, base_url), ring, pool, limits))
        return self._made[-1]

    async def close(self) -> None:
        for provider in self._made:
            await provider.aclose()
