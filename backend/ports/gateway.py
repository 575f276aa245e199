"""The way to the database: call this function, with these arguments, as this identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Service:
    """The service itself, with the rights of its own login."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, with verified claims: row-level security sees what it would see for their token."""

    claims: JsonObject
    token: str | None = field(default=None, repr=False)
    """Where the claims come from one: a transport that has no other way passes it on."""


Identity: TypeAlias = Service | Caller
SERVICE = Service()


class Gateway(Protocol):
    """Calls functions of the database; each call is one transaction."""

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        """Return what the function returned, as JSON values; a set, as a list of its rows.

        Args:
            function: Schema and name, such as `engine.claim_runs`.
            arguments: By parameter name; what is left out takes the function's default.
            identity: Whose rights hold.

        Raises:
            DatabaseUnavailable: No connection, or lost on the way: it may have taken effect.
            DatabaseContended: Rolled back each time it was tried.
            Rejected: The function refuses, in one of the subclasses that say why.
        """
        ...
