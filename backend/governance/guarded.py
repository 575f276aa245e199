"""A provider behind its circuit breaker."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from backend.domain.asker import Asker
from backend.errors import ModelStreamTruncated
from backend.governance.breaker import Breaker
from backend.ports.models import (
    Embeddings,
    Finished,
    LLMProvider,
    ModelEvent,
    ModelRequest,
)
from backend.ports.replies import Streamed


class Guarded(Streamed):
    """Asks the provider as long as it seems to be well."""

    def __init__(self, provider: LLMProvider, breaker: Breaker) -> None:
        self._provider = provider
        self._breaker = breaker

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer.

        Raises:
            ModelResting: The provider is left alone just now.
            ModelStreamTruncated: It ended without its final event.
        """
        is_whole = False
        with self._breaker.call() as attempt:
            async with aclosing(self._provider.stream(request)) as events:
                async for event in events:
                    attempt.begun()
                    if isinstance(event, Finished):
                        is_whole = True
                        attempt.answered()
                    yield event
            if not is_whole:
                raise ModelStreamTruncated("The model's stream ended without its final event.")

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors.

        Raises:
            ModelResting: The provider is left alone just now.
        """
        with self._breaker.call() as attempt:
            found = await self._provider.embed(texts, model=model, asker=asker)
            attempt.answered()
        return found
