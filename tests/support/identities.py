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


async def assume(connection: Any, who: Identity) -> None:
    """The open transaction belongs to this identity until it ends."""
    await connection.execute(f"set local role {who.role}")
    claims = "" if who.claims is None else json.dumps(dict(who.claims))
    await connection.execute("select set_config('request.jwt.claims', $1, true)", claims)
