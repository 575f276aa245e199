"""Where each call to a provider of models is written down."""

from dataclasses import dataclass
from typing import Protocol

from backend.domain.asker import Asker
from backend.domain.usage import Usage

COMPLETED = "completed"
CANCELLED = "cancelled"
CACHED = "cached"
"""The outcomes beside the codes of errors; cached: no provider was asked."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What one call was, and what it took."""

    call_id: str
    """A new uuid; told twice, a call is one row."""
    asker: Asker | None
    provider: str
    """The prefix of the model's id."""
    model: str
    """The provider's own name of the one that answered, else of the one that was asked."""
    usage: Usage
    outcome: str
    duration_ms: int
    first_token_ms: int | None = None
    is_estimated: bool = False
    """The provider did not tell: the input is a bound, the output what was heard."""
    cost_usd: str | None = None
    """By public price lists, in digits; None: nobody knows."""
    asked_model: str = ""
    """The provider's own name of the one that was asked, where another answered: a name without a
    version, mostly."""


class Ledger(Protocol):
    """Keeps calls."""

    async def record(self, call: ModelCall) -> None:
        """The call is stored, or will be once the database is back; never raises."""
        ...

    def note(self, call: ModelCall) -> None:
        """The call will be stored soon; for whoever must not wait, such as the cancelled."""
        ...
