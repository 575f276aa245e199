"""The caches in the database. They save time and money, and nothing fails for want of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from backend.domain.json_values import Json
from backend.errors import AssistantsError
from backend.ports.caches import CacheName, Entry, Hit, Key, Turn
from backend.ports.gateway import Gateway

CACHE_UNREACHABLE = "cache.unreachable"
_log = structlog.get_logger()


class DatabaseCaches:
    """Caches by `engine.find_cached` and its companions."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def find(self, cache: CacheName, keys: Sequence[Key]) -> Mapping[Key, Json]:
        """Return those that are there; of a database that is away, none."""
        found = await self._call("find_cached", p_cache=cache, p_keys=list(keys))
        return dict(found or {})

    async def keep(self, cache: CacheName, entries: Sequence[Entry]) -> None:
        """The values are there from now on, unless they are too large."""
        rows = [
            {"key": it.key, "value": it.value, "ttl_s": it.ttl_s, "owner": it.owner}
            for it in entries
        ]
        await self._call("keep_cached", p_cache=cache, p_entries=rows)

    async def lead(self, cache: CacheName, key: Key, holder: str, lease_s: float) -> Turn:
        """Return whose turn it is; without a database, the caller's."""
        asked = {"p_cache": cache, "p_key": key, "p_holder": holder, "p_lease_s": lease_s}
        found = await self._call("lead_cached", **asked)
        if found is None:
            return "lead"
        return Hit(found["value"]) if found["state"] == "hit" else found["state"]

    async def release(self, cache: CacheName, key: Key, holder: str) -> None:
        """Whoever comes next leads; else when the lease is over."""
        await self._call("release_cached", p_cache=cache, p_key=key, p_holder=holder)

    async def _call(self, function: str, **arguments: Any) -> Any:
        try:
            return await self._gateway.call(f"engine.{function}", arguments)
        except AssistantsError as error:
            _log.warning(CACHE_UNREACHABLE, doing=function, code=error.code)
            return None
