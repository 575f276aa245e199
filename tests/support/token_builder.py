"""Session tokens of any shape, good unless the test says otherwise."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

NOW_S = 1_800_000_000
KID = "ins_2abc"
ORIGIN = "https://app.example.com"
LEFT_OUT: Any = type("LeftOut", (), {"__repr__": lambda _: "left out"})()
"""Instead of a value: the member is not there."""


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """Return the key of that name, the same one all through the process."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(key: RSAPrivateKey, kid: Any = KID, **changes: Any) -> dict[str, Any]:
    """Return the public key as an issuer publishes it."""
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return _changed({**public, "kid": kid, "use": "sig", "alg": "RS256"}, changes)


@dataclass(frozen=True)
class TokenBuilder:
    """Makes tokens as this issuer would with this key."""

    issuer: str
    key: RSAPrivateKey
    kid: str = KID

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a token of Clerk's version 2 with these changes, signed properly."""
        return self.signed(self.header(**(header or {})), self.claims(**claims))

    def header(self, **changes: Any) -> bytes:
        ours = {"alg": "RS256", "kid": self.kid, "oiat": NOW_S - 40, "typ": "JWT"}
        return json.dumps(_changed(ours, changes)).encode()

    def claims(self, **changes: Any) -> bytes:
        ours = {
            "azp": ORIGIN,
            "exp": NOW_S + 50,
            "fva": [3, -1],
            "iat": NOW_S - 10,
            "iss": self.issuer,
            "jti": "0123456789abcdef0123",
            "nbf": NOW_S - 20,
            "role": "authenticated",
            "sid": "sess_2abc",
            "sts": "active",
            "sub": "user_2ada",
            "v": 2,
        }
        return json.dumps(_changed(ours, changes)).encode()

    def signed(self, header: bytes, payload: bytes) -> str:
        """Return any two parts with a third that fits them."""
        signing_input = f"{part(header)}.{part(payload)}"
        signature = self.key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{part(signature)}"


def part(data: bytes) -> str:
    """Return it as a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _changed(members: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not LEFT_OUT}
