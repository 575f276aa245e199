"""A worker whose model says when it was called: `python -m bench.timed_worker`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from backend import settings
from backend.app.worker import work_with
from backend.domain.asker import Asker
from backend.domain.usage import Usage
from backend.ports.models import (
    Embeddings,
    Finished,
    ModelEvent,
    ModelRequest,
    TextDelta,
)
from backend.ports.replies import Streamed
from backend.telemetry import logs


class TimedModel(Streamed):
    """Its answer is the moment of the call, on the clock that all processes share."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the moment."""
        called_at = time.monotonic_ns()
        yield TextDelta(str(called_at))
        yield Finished("stop", Usage(output_tokens=len(request.messages)))

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Refuse: nothing here measures embeddings."""
        raise NotImplementedError(f"{model}: {len(texts)} texts of {asker}")


def main() -> None:
    """Work until killed."""
    chosen = settings.load()
    logs.configure(chosen.log_level)
    asyncio.run(work_with(chosen, TimedModel()))


if __name__ == "__main__":
    main()
