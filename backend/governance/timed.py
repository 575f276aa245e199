"""A provider whose answers begin and end in time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from backend.domain.asker import Asker
from backend.errors import ModelTimedOut
from backend.ports.models import Embeddings, LLMProvider, ModelEvent, ModelRequest
from backend.ports.replies import Streamed


@dataclass(frozen=True, slots=True)
class CallPatience:
    """How long one call may take; silence on the wire is the connection's matter."""

    first_s: float = 300.0
    """Until its first word, thought or whole tool call: models may think unheard for long."""
    whole_s: float = 600.0


class Timed(Streamed):
    """Ends calls that take too long."""

    def __init__(self, provider: LLMProvider, patience: CallPatience) -> None:
        self._provider = provider
        self._patience = patience

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer.

        Raises:
            ModelTimedOut: It did not begin, or not end, in time.
        """
        began = asyncio.get_running_loop().time()
        end = began + self._patience.whole_s
        deadline = min(end, began + self._patience.first_s)
        async with aclosing(self._provider.stream(request)) as events:
            while True:
                # Around each step alone: what the listener does meanwhile is not ours to cancel.
                async with _until(deadline):
                    event = await anext(events, None)
                if event is None:
                    return
                deadline = end
                yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors.

        Raises:
            ModelTimedOut: They took too long.
        """
        async with _until(asyncio.get_running_loop().time() + self._patience.whole_s):
            return await self._provider.embed(texts, model=model, asker=asker)


@asynccontextmanager
async def _until(deadline: float) -> AsyncIterator[None]:
    scope = asyncio.timeout_at(deadline)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise ModelTimedOut("The model did not answer in time.") from None
