"""A worker that asks for slices of a key's limit."""

from typing import Any

from tests.support.worker import Worker

KEY, OTHER = "0" * 32, "1" * 32


class RateAsker:
    """A worker that asks for slices."""

    def __init__(self, worker: Worker, *, key: str = KEY, rpm: Any = 60, tpm: Any = None) -> None:
        self._worker = worker
        self._key = key
        self._rates = [rpm and rpm / 60, tpm and tpm / 60]

    async def lease(
        self, requests: float = 1, tokens: float = 0, *, most: float | None = None, **more: Any
    ) -> Any:
        """Return what is granted for so much, or more of the same."""
        times = (most or requests) / requests
        return await self._worker.call(
            "lease_rate",
            more.get("models", "openai:*"),
            self._key,
            self._rates,
            [requests, tokens],
            [requests * times, tokens * times],
            more.get("patience_s", 0.0),
            more.get("is_back", False),
            more.get("back", [0, 0]),
            more.get("closed_s"),
        )

    async def close(self, seconds: float) -> None:
        """The provider wants to be left alone for so long."""
        nothing = (None, None, 0.0, False, [0.0, 0.0], seconds)
        await self._worker.call("lease_rate", "openai:*", self._key, self._rates, *nothing)


async def spend(asker: RateAsker) -> int:
    """Return how many requests were free."""
    answer = await asker.lease(most=1000)
    return int(answer["requests"]) if answer["is_granted"] else 0
