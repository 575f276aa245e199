"""Providers that a test makes, all with one key."""

from backend.integrations.models.connections import Patience, open_pool
from backend.integrations.models.openai import OpenAIProvider

KEY = "sk-proj-never-seen-anywhere"


class Accounts:
    """Makes providers."""

    def __init__(self) -> None:
        self._made: list[OpenAIProvider] = []

    def at(self, base_url: str, *, silence_s: float = 20, connect_s: float = 5) -> OpenAIProvider:
        """Return a provider whose API is there."""
        patience = Patience(connect_s=connect_s, silence_s=silence_s)
        self._made.append(OpenAIProvider(KEY, base_url=base_url, pool=open_pool(patience)))
        return self._made[-1]

    async def close(self) -> None:
        for provider in self._made:
            await provider.aclose()
