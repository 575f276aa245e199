"""How often a provider may be asked with one key: whoever asks takes a turn first."""

from dataclasses import dataclass, field
from typing import Protocol

from backend.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """One call that is about to be made."""

    provider: str
    """The prefix of its models."""
    model: str
    """The provider's own name."""
    key: str = field(repr=False)
    tokens: int
    """Expected of what is sent."""
    output_tokens: int | None = None
    """At most of what comes back, where the request says so."""
    is_back: bool = False
    """It was told before when to come."""


class Turn(Protocol):
    """A call that may be made now."""

    def answered(self, usage: Usage) -> None:
        """It took so many tokens."""
        ...

    async def refused(self, retry_after_s: float | None) -> None:
        """The provider says that this key is at its limit, and perhaps until when."""
        ...


class RateLimits(Protocol):
    """Knows when a key may be used."""

    async def take(self, asked: Asked) -> Turn:
        """Return once the call may be made, within a few seconds.

        Raises:
            ModelRateLimited: That takes longer; it says when it is the call's turn.
        """
        ...


class NoLimits:
    """Every call may be made at once."""

    async def take(self, asked: Asked) -> Turn:
        """Return at once."""
        del asked
        return FREE


class _Free:
    def answered(self, usage: Usage) -> None:
        del usage

    async def refused(self, retry_after_s: float | None) -> None:
        del retry_after_s


FREE: Turn = _Free()
"""What nothing is counted of."""
