"""All models behind one provider, and others in place of one that fails."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from backend.domain.asker import Asker
from backend.errors import (
    AssistantsError,
    ModelNotFound,
    ModelRefused,
    ModelStreamTruncated,
    ModelUnavailable,
)
from backend.ports.models import (
    Discarded,
    Embeddings,
    Finished,
    ModelCatalogue,
    ModelEvent,
    ModelRequest,
)
from backend.ports.replies import Streamed
from backend.telemetry.names import MODEL_FELL_BACK

_log = structlog.get_logger()
_OF_MODEL = (ModelUnavailable, ModelStreamTruncated, ModelNotFound, ModelRefused)


class Fallbacks(Streamed):
    """Finds who serves a model, by its whole id, and who else may answer."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer of the first model that gives one; Finished says which.

        A model that fails after its first word is replaced only where the options say so; then
        Discarded comes before the other's first word.

        Raises:
            ModelNotFound: Nobody serves any of them.
            ModelUnavailable: All fail; the one that may be back first says when.
        """
        models = dict.fromkeys((request.model, *request.options.fallback_models))
        failed: list[AssistantsError] = []
        for model in models:
            is_silent = True
            try:
                async with aclosing(self._ask(model, request)) as events:
                    async for event in events:
                        is_silent = False
                        if failed and isinstance(event, Finished):
                            yield replace(event, stands_in=True)
                        else:
                            yield event
            except _OF_MODEL as error:
                failed.append(error)
                if len(models) == 1 or not (is_silent or request.options.fallback_after_words):
                    raise
                _log.warning(MODEL_FELL_BACK, model=model, code=error.code, silent=is_silent)
                if not is_silent and len(failed) < len(models):
                    yield Discarded()
            else:
                return
        raise _most_hopeful(failed)

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; no other model's would lie in the same space.

        Raises:
            ModelNotFound: Nobody serves it.
        """
        served = self._catalogue.find(model)
        return await served.provider.embed(texts, model=served.name, asker=asker)

    async def _ask(self, model: str, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        served = self._catalogue.find(model)
        stands_in = request.stands_in or served.id != request.model
        own = replace(request, model=served.name, stands_in=stands_in)
        is_whole = False
        async with aclosing(served.provider.stream(own)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    is_whole = True
                    yield replace(event, model=served.id)
                else:
                    yield event
        if not is_whole:
            raise ModelStreamTruncated("The model's stream ended without its final event.")


def _most_hopeful(failed: Sequence[AssistantsError]) -> AssistantsError:
    """Return the error of the model that is worth waiting for most."""
    waits = [it for it in failed if isinstance(it, ModelUnavailable) and it.is_wait]
    if waits:
        return min(waits, key=lambda it: it.retry_after_s or 0.0)
    return next((it for it in failed if it.retryable), failed[0])
