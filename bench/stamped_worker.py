"""A worker whose model says only what time it is: `python -m bench.stamped_worker`."""

import asyncio
import json
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


class StampedModel(Streamed):
    """Each delta is the moment at which it was said, on the clock that all processes share."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield as many moments as the user asks for, so many milliseconds apart."""
        wanted = json.loads(request.messages[-1].text)
        gap_s = wanted["gap_ms"] / 1000
        due = time.monotonic() + wanted.get("first_ms", 0) / 1000
        for _ in range(wanted["deltas"]):
            # A model keeps its pace, whoever is late.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield TextDelta(f"{time.monotonic_ns()};")
            due += gap_s
        yield Finished("stop", Usage(output_tokens=wanted["deltas"]))

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Refuse: nothing here measures embeddings."""
        raise NotImplementedError(f"{model}: {len(texts)} texts of {asker}")


def main() -> None:
    """Work until killed."""
    chosen = settings.load()
    logs.configure(chosen.log_level)
    asyncio.run(work_with(chosen, StampedModel()))


if __name__ == "__main__":
    main()
