"""Session tokens in the form of Clerk's, signed with a key of the data folder."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from backend.devkit.private_files import write_private
from backend.errors import LocalStackFailed

LIFETIME_S = 60
_SKEW_S = 10
_ORIGIN = "http://localhost:5173"


@dataclass(frozen=True)
class Subject:
    """Whom a token speaks for.

    Attributes:
        user_id: Any text without control characters; Clerk's look like `user_2abc`.
        org_id: The organisation that is active, if one is, such as `org_acme`.
        org_role: The role in it, without Clerk's older prefix `org:`; none is a member's.
    """

    user_id: str
    org_id: str | None = None
    org_role: str | None = None

    def __post_init__(self) -> None:
        """Refuse ids that no issuer would give."""
        given = {"user": self.user_id, "organisation": self.org_id, "role": self.org_role}
        for name, text in given.items():
            if text == "":
                raise LocalStackFailed(f"The {name} is empty: name one.")
            if text is not None and not text.isprintable():
                raise LocalStackFailed(f"The {name} must be a text without control characters.")
        if self.user_id.startswith("org_") or not (self.org_id or "org_").startswith("org_"):
            raise LocalStackFailed(
                "The id of an organisation starts with org_, and the id of a user does not."
            )


def load_key(path: Path) -> RSAPrivateKey:
    """Return the issuer's key; it is made and stored when there is none."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, RSAPrivateKey):
            return key
        raise LocalStackFailed(f"{path} holds no RSA key: remove it, and the next start makes one.")
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, pem.decode())
    return made


def mint(key: RSAPrivateKey, issuer_url: str, subject: Subject, *, now_s: int) -> str:
    """Return a session token for 60 seconds.

    Args:
        key: The issuer's key.
        issuer_url: Becomes `iss`; without a slash at the end.
        subject: Whom it speaks for.
        now_s: Unix seconds.

    Source:
        Clerk's documentation, "Session tokens", version 2.
    """
    token_claims: dict[str, Any] = {
        "azp": _ORIGIN,
        "exp": now_s + LIFETIME_S,
        "fva": [0, -1],
        "iat": now_s,
        "iss": issuer_url,
        "jti": secrets.token_hex(10),
        "nbf": now_s - _SKEW_S,
        "role": "authenticated",
        "sid": f"sess_{secrets.token_hex(12)}",
        "sts": "active",
        "sub": subject.user_id,
        "v": 2,
    }
    if subject.org_id:
        slug = subject.org_id.removeprefix("org_")
        token_claims["o"] = {"id": subject.org_id, "rol": subject.org_role or "member", "slg": slug}
    headers = {"kid": key_id(key), "typ": "JWT"}
    return jwt.encode(token_claims, key, algorithm="RS256", headers=headers)


def key_id(key: RSAPrivateKey) -> str:
    """Return the name that tokens and the issuer's document call the key by."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"ins_local{hashlib.sha256(public).hexdigest()[:16]}"
