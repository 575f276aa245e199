"""What a token with a good signature says, and whether it holds here and now."""

from collections.abc import Set as AbstractSet
from typing import Any

from backend.domain.identity import SignedIn
from backend.domain.ids import OrgId, UserId
from backend.errors import Unauthenticated
from backend.integrations.clerk.strict_json import read_object

# Clerk's own SDK accepts this much difference between two clocks.
_LEEWAY_S = 5
_LATEST_S = 253_402_300_799
"""The end of the year 9999, which every calendar can hold."""
_ORG_PREFIX = "org_"
"""What an organisation's id begins with and a user's does not: the database keeps both in one column."""


def read_claims(
    payload: bytes, *, issuer: str, authorized_parties: AbstractSet[str], now_s: float
) -> SignedIn:
    """Return whom the token speaks for.

    Args:
        payload: Its second part, whose signature was verified.
        issuer: Exactly what `iss` must be.
        authorized_parties: What `azp` may be; empty refuses every token that has one.
        now_s: Unix seconds.

    Raises:
        Unauthenticated: A token claim is missing, not of its kind, or does not hold.

    Source:
        Clerk's documentation, "Manual JWT verification" and "Session tokens", versions 1 and 2.
    """
    try:
        claims = read_object(payload)
    except ValueError:
        raise Unauthenticated("malformed_claims") from None
    expires_at_s = _valid_until(claims, now_s)
    if claims.get("iss") != issuer:
        raise Unauthenticated("issuer")
    _check_use(claims, authorized_parties)
    org_id, org_role = _organisation(claims)
    user_id = _id(claims, "sub", "subject")
    if user_id.startswith(_ORG_PREFIX):
        raise Unauthenticated("subject")
    return SignedIn(
        user_id=UserId(user_id),
        session_id=_id(claims, "sid", "session"),
        org_id=org_id,
        org_role=org_role,
        expires_at_s=expires_at_s,
        claims=claims,
    )


def _valid_until(claims: dict[str, Any], now_s: float) -> int:
    expires_at_s = _time_s(claims, "exp")
    if expires_at_s <= now_s - _LEEWAY_S:
        raise Unauthenticated("expired")
    if _time_s(claims, "nbf") > now_s + _LEEWAY_S:
        raise Unauthenticated("not_yet_valid")
    if _time_s(claims, "iat") > now_s + _LEEWAY_S:
        raise Unauthenticated("issued_later")
    return int(expires_at_s)


def _time_s(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    # A bool is an int as well.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"malformed_{name}")
    if not 0 <= value <= _LATEST_S:
        raise Unauthenticated(f"malformed_{name}")
    return float(value)


def _check_use(claims: dict[str, Any], authorized_parties: AbstractSet[str]) -> None:
    if "azp" in claims and not _is_one_of(claims["azp"], authorized_parties):
        raise Unauthenticated("authorized_party")
    status = claims.get("sts", "active")
    if not isinstance(status, str) or status == "pending":
        raise Unauthenticated("session_pending")
    # With any other role the Data API would treat the same token as somebody else.
    if claims.get("role") != "authenticated":
        raise Unauthenticated("role")


def _is_one_of(value: Any, accepted: AbstractSet[str]) -> bool:
    return isinstance(value, str) and value in accepted


def _id(claims: dict[str, Any], name: str, why: str) -> str:
    value = claims.get(name)
    if not (isinstance(value, str) and value and value.isprintable()):
        raise Unauthenticated(why)
    return value


def _organisation(claims: dict[str, Any]) -> tuple[OrgId | None, str | None]:
    version_1, version_2 = claims.get("org_id"), claims.get("o")
    if version_2 is None:
        org_id, role = version_1, claims.get("org_role")
    elif isinstance(version_2, dict) and version_1 in (None, version_2.get("id")):
        org_id, role = version_2.get("id"), version_2.get("rol")
    else:
        # Policies read one of the two, and nobody knows which was meant.
        raise Unauthenticated("organisation")
    if not isinstance(org_id, str | None) or not isinstance(role, str | None):
        raise Unauthenticated("organisation")
    if not org_id:
        return None, None
    if not org_id.startswith(_ORG_PREFIX):
        raise Unauthenticated("organisation")
    return OrgId(org_id), role.removeprefix("org:") if role else None
