"""A verifier whose issuer, keys and time belong to the test."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from backend.domain.identity import SignedIn
from backend.errors import Unauthenticated
from backend.integrations.clerk.jwks import KeySet
from backend.integrations.clerk.tokens import ClerkTokenVerifier
from tests.support.key_server import KeyServer, key_server
from tests.support.manual_clock import ManualClock
from tests.support.token_builder import NOW_S, ORIGIN, TokenBuilder, jwk, rsa_key

Make: TypeAlias = Callable[[TokenBuilder], str]
THE_SAME_FOR_ALL = "A valid session token is needed: Authorization: Bearer <token>."


@dataclass
class Door:
    """A verifier, and the issuer whose tokens it takes."""

    issuer: KeyServer
    clock: ManualClock
    verifier: ClerkTokenVerifier
    tokens: TokenBuilder

    async def verify(self, token: str) -> SignedIn:
        return await self.verifier.verify(token)

    async def refuses(self, token: str) -> str:
        """Return why, after the token was refused in the words for all of them."""
        with pytest.raises(Unauthenticated) as refused:
            await self.verifier.verify(token)
        assert str(refused.value) == THE_SAME_FOR_ALL
        # What a log of the whole chain would show.
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None or refused.value.__suppress_context__
        return refused.value.why


@asynccontextmanager
async def door(parties: Collection[str] = (ORIGIN,), now_s: float = NOW_S) -> AsyncIterator[Door]:
    """Yield a verifier that has its issuer's key."""
    clock = ManualClock()
    key = rsa_key("one")
    async with key_server(jwk(key)) as issuer, KeySet(issuer.url, clock, timeout_s=30) as keys:
        tokens = TokenBuilder(issuer.url, key)
        await keys.find(tokens.kid)
        verifier = ClerkTokenVerifier(keys, authorized_parties=parties, now_s=lambda: now_s)
        yield Door(issuer, clock, verifier, tokens)
