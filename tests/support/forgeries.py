"""Tokens that must open nothing, each of another kind, and how they are made."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from backend.devkit.tokens import key_id
from tests.support.token_builder import TokenBuilder, jwk, part, rsa_key

_LIFETIME_S = 1800


def claims_of(claims: Mapping[str, Any], **changes: Any) -> bytes:
    """Return the payload of a token that somebody with these claims has for a while."""
    now_s = int(time.time())
    times = {"iat": now_s - 10, "nbf": now_s - 20, "exp": now_s + _LIFETIME_S}
    return json.dumps({**times, "sid": "sess_2abc", **claims, **changes}).encode()


def signed(key: RSAPrivateKey, claims: Mapping[str, Any]) -> str:
    """Return the token that the issuer of this key makes."""
    builder = TokenBuilder("", key, key_id(key))
    return builder.signed(builder.header(), claims_of(claims))


_FORGED = (
    "endless",
    "not_yet",
    "unsigned",
    "unsigned_service",
    "hmac_of_pem",
    "hmac_of_jwk",
    "foreign_key",
    "foreign_service",
    "own_key_inside",
    "own_key_elsewhere",
    "unknown_kid",
    "without_kid",
    "tampered",
    "cut_off",
    "garbage",
)
FORGERIES = {"expired": "PGRST303", **dict.fromkeys(_FORGED, "PGRST301")}
"""What is wrong with a token, and the code of its refusal."""


def forged(key: RSAPrivateKey, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return tokens that claim this and are not the issuer's, by what is wrong with them."""
    ours = TokenBuilder("", key, key_id(key))
    theirs = rsa_key("theirs")
    payload = claims_of(claims)
    service = claims_of(claims, role="service_role")
    foreign = TokenBuilder("", theirs, key_id(key))
    head, _, signature = ours.signed(ours.header(), claims_of({**claims, "sub": "user_x"})).split(
        "."
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "expired": ours.signed(ours.header(), claims_of(claims, exp=int(time.time()) - 60)),
        "endless": ours.signed(ours.header(), _without("exp", payload)),
        "not_yet": ours.signed(ours.header(), claims_of(claims, nbf=int(time.time()) + 600)),
        "unsigned": f"{part(ours.header(alg='none'))}.{part(payload)}.",
        "unsigned_service": f"{part(ours.header(alg='none'))}.{part(service)}.",
        "hmac_of_pem": _hmac(ours.header(alg="HS256"), payload, public),
        "hmac_of_jwk": _hmac(ours.header(alg="HS256"), payload, json.dumps(jwk(key)).encode()),
        "foreign_key": foreign.signed(foreign.header(), payload),
        "foreign_service": foreign.signed(foreign.header(), service),
        "own_key_inside": foreign.signed(foreign.header(jwk=jwk(theirs)), payload),
        "own_key_elsewhere": foreign.signed(
            foreign.header(kid="x", jku="https://evil.example/jwks.json"), payload
        ),
        "unknown_kid": ours.signed(ours.header(kid="ins_unknown"), payload),
        "without_kid": ours.signed(_without("kid", ours.header()), payload),
        "tampered": f"{head}.{part(payload)}.{signature}",
        "cut_off": f"{head}.{part(payload)}",
        "garbage": "a.b.c",
    }


def _without(member: str, text: bytes) -> bytes:
    return json.dumps({k: v for k, v in json.loads(text).items() if k != member}).encode()


def _hmac(header: bytes, payload: bytes, secret: bytes) -> str:
    signing_input = f"{part(header)}.{part(payload)}"
    make: Callable[..., Any] = hmac.new
    digest = make(secret, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
