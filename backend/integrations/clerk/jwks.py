"""The issuer's keys: kept, renewed in the background, and outlasting an outage for an hour."""

import asyncio
import math
from types import TracebackType
from typing import Self

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from backend.errors import IdentityUnavailable, Unauthenticated
from backend.integrations.clerk.published_keys import (
    KeysNotFetched,
    fetch_keys,
    jwks_url,
    open_client,
)
from backend.ports.clock import Clock

_log = structlog.get_logger()
KEYS_REFRESHED = "keys.refreshed"
KEYS_REFRESH_FAILED = "keys.refresh_failed"
_FRESH_S = 300.0
_USABLE_S = 3600.0
_COOLDOWN_S = 10.0
_MOST_WAITING = 32


class KeySet:
    """The last good set of keys; one refresh at a time, and one in ten seconds at most."""

    def __init__(self, issuer: str, clock: Clock, *, timeout_s: float = 3.0) -> None:
        """Nothing is fetched yet; entering starts the first refresh without waiting for it.

        Args:
            issuer: The `iss` of its tokens, without a slash at the end.
            clock: Tells how old the set is.
            timeout_s: For each refresh.

        Raises:
            SettingsInvalid: The issuer is no https address.
        """
        self.issuer = issuer
        self._url = jwks_url(issuer)
        self._clock = clock
        self._timeout_s = timeout_s
        self._client = open_client()
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._refresh: asyncio.Task[None] | None = None
        self._waiting = 0
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._refreshing()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed = True
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait({self._refresh})
        await self._client.aclose()

    async def find(self, kid: str) -> RSAPublicKey:
        """Return the key of this name; waits for a refresh only where the set does not tell.

        Raises:
            Unauthenticated: The issuer publishes no such key.
            IdentityUnavailable: No set was fetched within the last hour, nor can be now.
        """
        key = self._keys.get(kid)
        if key is not None and self._age_s() < _USABLE_S:
            if self._age_s() >= _FRESH_S:
                self._refreshing()
            return key
        await self._refreshed()
        if self._age_s() >= _USABLE_S:
            raise IdentityUnavailable("The issuer's keys cannot be had now.")
        key = self._keys.get(kid)
        if key is None:
            raise Unauthenticated("unknown_key")
        return key

    async def find_other(self, kid: str, known: RSAPublicKey) -> RSAPublicKey | None:
        """Return another key that the issuer publishes under this name by now, if it does.

        Args:
            kid: Clerk's is the id of the instance, so a new key may come under the old name.
            known: What `find` returned and did not verify the signature.
        """
        await self._refreshed()
        key = self._keys.get(kid)
        return None if key == known else key

    async def _refreshed(self) -> None:
        """The set is as new as may be: whoever cannot wait goes by the one at hand."""
        refresh = self._refreshing()
        if refresh is None or self._waiting >= _MOST_WAITING:
            return
        self._waiting += 1
        try:
            # Not `await refresh`: a caller who leaves would cancel it for all.
            await asyncio.wait({refresh})
        finally:
            self._waiting -= 1

    def _refreshing(self) -> asyncio.Task[None] | None:
        """Return the refresh under way, started now if need be; None if it is too soon for one."""
        if self._refresh is not None and not self._refresh.done():
            return self._refresh
        now = self._clock.monotonic()
        if self._is_closed or now - self._tried_at < _COOLDOWN_S:
            return None
        self._tried_at = now
        self._refresh = asyncio.create_task(self._fetch(), name="keys")
        return self._refresh

    async def _fetch(self) -> None:
        # The set is as old as the question, not as the answer.
        asked_at = self._tried_at
        try:
            published = await fetch_keys(self._client, self._url, timeout_s=self._timeout_s)
        except KeysNotFetched as failure:
            _log.warning(KEYS_REFRESH_FAILED, code=failure.code, kept=len(self._keys))
            return
        self._keys, self._fetched_at = published.by_kid, asked_at
        _log.info(KEYS_REFRESHED, keys=len(self._keys))

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._fetched_at
