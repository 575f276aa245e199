"""Whose turn it is to ask a provider: by the operator's limits where there are some, else by its 429s."""

from collections.abc import Sequence

from backend.domain.rates import Rate
from backend.governance.gates import Gate
from backend.governance.shared_rates import Ledger, SharedRate
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.limits import Asked, Turn


class Turns:
    """All turns of one worker."""

    def __init__(self, rates: Sequence[Rate], gateway: Gateway | None, clock: Clock) -> None:
        """Nobody has asked yet.

        Args:
            rates: The first that concerns a model counts.
            gateway: The way to the database; without it limits are those of providers alone.
            clock: For waits.
        """
        self._rates = rates if gateway else ()
        self._ledger = Ledger(gateway) if gateway else None
        self._clock = clock
        self._gates: dict[tuple[str, str], Gate] = {}
        self._shared: dict[tuple[str, str], SharedRate] = {}

    async def take(self, asked: Asked) -> Turn:
        """Return once the call may be made.

        Raises:
            ModelRateLimited: Not within a few seconds; says when it is the call's turn.
        """
        model = f"{asked.provider}:{asked.model}"
        rate = next((it for it in self._rates if it.concerns(model)), None)
        if rate and self._ledger:
            place = (rate.models, asked.key)
            if place not in self._shared:
                self._shared[place] = SharedRate(self._ledger, rate, asked.key, self._clock)
            return await self._shared[place].take(asked)
        gate = self._gates.setdefault((asked.provider, asked.key), Gate(self._clock))
        return await gate.take(asked)
