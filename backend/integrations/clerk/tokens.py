"""Whom one of Clerk's session tokens speaks for."""

import base64
import re
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidSignatureError, PyJWS, PyJWTError

from backend.domain.identity import SignedIn
from backend.errors import Unauthenticated
from backend.integrations.clerk.jwks import KeySet
from backend.integrations.clerk.strict_json import read_object
from backend.integrations.clerk.token_claims import read_claims

_MOST_CHARACTERS = 8192
_COMPACT = re.compile(r"([\w-]+)\.[\w-]+\.[\w-]+", re.ASCII)
_ALGORITHM = "RS256"
_signatures = PyJWS(algorithms=[_ALGORITHM])


class ClerkTokenVerifier:
    """Takes session tokens of the one issuer whose keys it has."""

    def __init__(
        self,
        keys: KeySet,
        *,
        authorized_parties: Collection[str],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Ready at once.

        Args:
            keys: The issuer's; its owner opens and closes it.
            authorized_parties: Origins of our frontends. Clerk leaves `azp` out of some tokens,
                which are accepted; with no origins every token that has one is refused.
            now_s: Unix seconds.
        """
        self._keys = keys
        self._authorized_parties = frozenset(authorized_parties)
        self._now_s = now_s

    async def verify(self, token: str) -> SignedIn:
        """Return whom the token speaks for.

        Raises:
            Unauthenticated: It does not hold, whatever the reason.
            IdentityUnavailable: No token can be verified now.

        Source:
            RFC 8725, "JSON Web Token Best Current Practices", section 3.
        """
        kid = _key_id(token)
        key = await self._keys.find(kid)
        payload = _signed(token, key)
        if payload is None and (other := await self._keys.find_other(kid, key)) is not None:
            payload = _signed(token, other)
        if payload is None:
            raise Unauthenticated("signature")
        signed_in = read_claims(
            payload,
            issuer=self._keys.issuer,
            authorized_parties=self._authorized_parties,
            now_s=self._now_s(),
        )
        return replace(signed_in, token=token)


def _key_id(token: str) -> str:
    if len(token) > _MOST_CHARACTERS:
        raise Unauthenticated("too_long")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise Unauthenticated("malformed")
    try:
        header = read_object(base64.urlsafe_b64decode(parts[1] + "=="))
    except ValueError:
        raise Unauthenticated("malformed") from None
    if header.get("alg") != _ALGORITHM:
        raise Unauthenticated("algorithm")
    # Clerk signs OAuth and machine tokens with the same key; only their type tells them apart.
    if header.get("typ") != "JWT":
        raise Unauthenticated("type")
    if "crit" in header:
        raise Unauthenticated("critical_header")
    kid = header.get("kid")
    if not (isinstance(kid, str) and kid):
        raise Unauthenticated("key_id")
    return kid


def _signed(token: str, key: RSAPublicKey) -> bytes | None:
    """Return the second part, or None where another key may have signed it."""
    try:
        payload: bytes = _signatures.decode(token, key, algorithms=[_ALGORITHM])
    except InvalidSignatureError:
        return None
    except PyJWTError:
        raise Unauthenticated("malformed") from None
    return payload
