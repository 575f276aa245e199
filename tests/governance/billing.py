"""Ledgers and prices of tests."""

from backend.domain.asker import Asker
from backend.governance.metered import Billing
from backend.governance.prices import ListedPrices
from backend.ports.clock import Clock, SystemClock
from backend.ports.ledger import ModelCall

ADA = Asker("user_2ada", "org_1", "00000000-0000-4000-8000-000000000001", None)


class KeptLedger:
    """Keeps calls in memory; a test looks at them."""

    def __init__(self) -> None:
        self.calls: list[ModelCall] = []

    async def record(self, call: ModelCall) -> None:
        self.calls.append(call)

    def note(self, call: ModelCall) -> None:
        self.calls.append(call)


def billing(ledger: KeptLedger, clock: Clock | None = None) -> Billing:
    """Return what meters share."""
    return Billing(ledger, ListedPrices(), clock or SystemClock())
