"""All models behind one provider."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from backend.ports.models import (
    Embeddings,
    Finished,
    ModelCatalogue,
    ModelEvent,
    ModelReply,
    ModelRequest,
)
from backend.ports.replies import collect


class Fallbacks:
    """Finds who serves a model, by its whole id."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def generate(self, request: ModelRequest) -> ModelReply:
        """Return the whole answer at once."""
        return await collect(self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer; Finished says which model gave it.

        Raises:
            ModelNotFound: Nobody serves it.
        """
        served = self._catalogue.find(request.model)
        own = replace(request, model=served.name)
        async with aclosing(served.provider.stream(own)) as events:
            async for event in events:
                yield replace(event, model=served.id) if isinstance(event, Finished) else event

    async def embed(self, texts: Sequence[str], *, model: str) -> Embeddings:
        """Return unit vectors.

        Raises:
            ModelNotFound: Nobody serves it.
        """
        served = self._catalogue.find(model)
        return await served.provider.embed(texts, model=served.name)
