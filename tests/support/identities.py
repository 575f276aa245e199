"""Who asks: the role and the token claims that the Data API puts into a transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """A database role and the claims of the token that came with the request, if one came."""

    role: str
    claims: Mapping[str, Any] | None = None

    @property
    def sub(self) -> str:
        """Return the Clerk user id."""
        return str((self.claims or {})["sub"])


def user(sub: str, **claims: Any) -> Identity:
    """Return the signed-in user with this Clerk id."""
    return Identity("authenticated", {"sub": sub, "role": "authenticated", **claims})


ADA = user("user_2ada")
BOB = user("user_2bob")
ODD = user("o'Hara\"; drop table messages; -- \\ ü 😀 %_$1")
NO_SUB = Identity("authenticated", {"role": "authenticated"})
EMPTY_SUB = user("")
ANONYMOUS = Identity("anon")
SERVICE = Identity("service_role", {"role": "service_role"})


ISSUER = "https://clerk.example.com"
_ORG, _OTHER_ORG = "org_1", "org_2"


def visitors(whose: str, issuer: str = ISSUER, suffix: str = "") -> dict[str, Identity]:
    """Return who tries what in tests/db/matrix, by their names there.

    Args:
        whose: The table: those who do not count are else whoever may do most.
        issuer: Whose tokens count.
        suffix: Ends all ids, where other worlds share the database.
    """

    def of(sub: str, **claims: Any) -> Identity:
        return user(sub + suffix, iss=issuer, **claims)

    def v1(org: str = _ORG, role: str = "org:member") -> dict[str, Any]:
        return {"org_id": org + suffix, "org_role": role, "org_slug": "dwarves"}

    def v2(org: str = _ORG, role: str = "member") -> dict[str, Any]:
        return {"v": 2, "o": {"id": org + suffix, "rol": role, "slg": "dwarves"}}

    eve, nia, una, zed = "user_2eve", "user_2nia", "user_2una", "user_2zed"
    base = of(ADA.sub) if whose == "personal" else of(eve, **v2())
    return {
        "anonymous": ANONYMOUS,
        "role_postgres": Identity("postgres", {**(base.claims or {}), "role": "postgres"}),
        "role_supabase_admin": Identity(
            "supabase_admin", {**(base.claims or {}), "role": "supabase_admin"}
        ),
        **_uncounted(base, suffix),
        "other": of(BOB.sub),
        "claims_postgres": of(BOB.sub, role="postgres"),
        "claims_service_role": of(BOB.sub, role="service_role"),
        "claims_supabase_admin": of(BOB.sub, role="supabase_admin"),
        "owner_in_org": of(ADA.sub, **v2()),
        "owner_in_org_v1": of(ADA.sub, **v1()),
        "owner": of(ADA.sub),
        "owner_null_org": of(ADA.sub, org_id=None, o=None),
        "odd": of(ODD.sub),
        "left": of(eve),
        "moved": of(eve, **v2(_OTHER_ORG)),
        "moved_v1": of(eve, **v1(_OTHER_ORG)),
        "moved_admin": of(eve, **v2(_OTHER_ORG, "admin")),
        "rival": of(zed, **v2(_OTHER_ORG)),
        "rival_v1": of(zed, **v1(_OTHER_ORG)),
        "rival_admin": of(zed, **v2(_OTHER_ORG, "admin")),
        "rival_admin_v1": of(zed, **v1(_OTHER_ORG, "org:admin")),
        "member": of(nia, **v2()),
        "member_v1": of(nia, **v1()),
        "nearly_admin": of(nia, **v2(role="administrator")),
        "nearly_admin_v1": of(nia, **v1(role="org:administrator")),
        "author": of("user_2mel", **v2()),
        "starter": of(eve, **v2()),
        "starter_v1": of(eve, **v1()),
        "admin": of(una, **v2(role="admin")),
        "admin_v1": of(una, **v1(role="org:admin")),
        "demoted": of(una, **v2()),
    }


def _uncounted(base: Identity, suffix: str) -> dict[str, Identity]:
    def but(**changes: Any) -> Identity:
        return Identity(base.role, {**(base.claims or {}), **changes})

    def without(claim: str) -> Identity:
        claims = {name: value for name, value in (base.claims or {}).items() if name != claim}
        return Identity(base.role, claims)

    issuer = (base.claims or {})["iss"]
    return {
        "no_sub": without("sub"),
        "empty_sub": but(sub=""),
        "org_as_sub": but(sub=_ORG + suffix),
        "foreign_issuer": but(iss="https://clerk.example.org"),
        "longer_issuer": but(iss=f"{issuer}.example.org"),
        "no_issuer": without("iss"),
        "pending": but(sts="pending"),
        "two_orgs": but(org_id=_ORG + suffix, o={"id": _OTHER_ORG + suffix}),
        "nameless_org": but(o={"id": "1"}),
        "text_org": but(o=_ORG + suffix),
        "list_org": but(org_id=[_ORG + suffix]),
    }


async def assume(connection: Any, who: Identity) -> None:
    """The open transaction belongs to this identity until it ends."""
    await connection.execute(f"set local role {who.role}")
    claims = "" if who.claims is None else json.dumps(dict(who.claims))
    await connection.execute("select set_config('request.jwt.claims', $1, true)", claims)
