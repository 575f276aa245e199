"""How Realtime finds out what somebody may do on a private topic: by rows that it takes back."""

import json
from typing import Any

import asyncpg

from tests.support.identities import Identity

_ACT = """
select set_config('role', $1, true), set_config('realtime.topic', $2, true),
    set_config('request.jwt.claims', $3, true), set_config('request.jwt.claim.sub', $4, true),
    set_config('request.jwt.claim.role', $1, true)
"""
_PROBE = "insert into realtime.messages (topic, extension) values ($1, $2)"


async def may_follow(admin: Any, who: Identity, topic: str, extension: str = "broadcast") -> bool:
    """Return whether this identity may join the topic and hear what is sent there.

    Source:
        supabase/realtime, lib/realtime/tenants/authorization.ex, `get_read_authorizations`.
    """
    async with _taken_back(admin):
        probe = await admin.fetchval(f"{_PROBE} returning id", topic, extension)
        await _act(admin, who, topic)
        seen = await admin.fetch("select id from realtime.messages where id = $1", probe)
        return bool(seen)


async def may_send(admin: Any, who: Identity, topic: str, extension: str = "broadcast") -> bool:
    """Return whether what this identity sends on the topic is passed on."""
    async with _taken_back(admin):
        await _act(admin, who, topic)
        try:
            await admin.execute(_PROBE, topic, extension)
        except asyncpg.InsufficientPrivilegeError:
            return False
        return True


class _TakenBack:
    def __init__(self, admin: Any) -> None:
        self._transaction = admin.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()


def _taken_back(admin: Any) -> _TakenBack:
    return _TakenBack(admin)


async def _act(admin: Any, who: Identity, topic: str) -> None:
    claims = dict(who.claims or {})
    await admin.execute(_ACT, who.role, topic, json.dumps(claims), claims.get("sub", ""))
