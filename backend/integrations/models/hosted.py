"""The provider behind every prefix whose models are asked over HTTP.

What differs from vendor to vendor is behind `Vendor`. Nothing is tried twice here (the run's own
retry is the only one), except that a key which is refused before the first word makes room for the
next; and what is said reaches no log and nobody but the provider.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from difflib import get_close_matches

import structlog
from httpx2 import AsyncClient

from backend.errors import AssistantsError, ModelNotFound, ModelRefused
from backend.integrations.models.failures import (
    CLIENT_ERRORS,
    failure_of,
    leave_key_aside_s,
    traits_of,
)
from backend.integrations.models.keys import KeyRing
from backend.integrations.models.questions import answer_of
from backend.integrations.models.vectors import embed_with
from backend.integrations.models.vendors import Vendor
from backend.ports.models import Embeddings, ModelEvent, ModelReply, ModelRequest
from backend.ports.replies import collect

CALL_FAILED = "model.call_failed"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Failure:
    meaning: AssistantsError
    is_of_key: bool
    """Another key may do."""


class HostedProvider:
    """Serves the models of one vendor; its connections are shared by all calls."""

    def __init__(self, prefix: str, vendor: Vendor, keys: KeyRing, pool: AsyncClient) -> None:
        """Nothing is connected yet.

        Args:
            prefix: Of its model ids, for logs.
            vendor: Uses the same pool.
            keys: Of the accounts with it.
            pool: Of connections; from now on the provider's own.
        """
        self._prefix = prefix
        self._vendor = vendor
        self._keys = keys
        self._pool = pool
        self._errors: tuple[type[Exception], ...] = (*CLIENT_ERRORS, *vendor.errors)

    async def aclose(self) -> None:
        """No connection is open; calls that were under way have failed."""
        await self._pool.aclose()

    async def generate(self, request: ModelRequest) -> ModelReply:
        """Return the whole answer at once."""
        return await collect(self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer as it comes, its whole tool calls at the end, Finished last."""
        keys = await self._keys.deal()
        for number, key in enumerate(keys, start=1):
            is_silent = True
            try:
                async with aclosing(answer_of(self._vendor, self._prefix, key, request)) as events:
                    async for event in events:
                        is_silent = False
                        yield event
            except self._errors as error:
                failed = self._failure(error, key, request.model)
                if not (failed.is_of_key and is_silent) or number == len(keys):
                    raise failed.meaning from None
            else:
                return

    async def embed(self, texts: Sequence[str], *, model: str) -> Embeddings:
        """Return unit vectors; many texts are several calls, one after the other.

        Raises:
            ModelRefused: The vendor has no such models.
        """
        keys = await self._keys.deal()
        for number, key in enumerate(keys, start=1):
            embedder = self._vendor.embedder(key, model)
            if embedder is None:
                raise ModelRefused(f"{self._prefix} has no models that embed.")
            try:
                return await embed_with(embedder, texts)
            except self._errors as error:
                failed = self._failure(error, key, model)
                if not failed.is_of_key or number == len(keys):
                    raise failed.meaning from None
        raise AssertionError("A ring of keys is never empty.")

    def _failure(self, error: Exception, key: str, model: str) -> _Failure:
        failure = failure_of(error)
        traits: dict[str, str | int | float] = {**traits_of(error)}
        seconds = leave_key_aside_s(error)
        if seconds is not None:
            traits |= {"key_number": self._keys.leave_aside(key, seconds), "key_aside_s": seconds}
        if isinstance(failure, ModelNotFound) and (
            near := ", ".join(get_close_matches(model, self._vendor.names))
        ):
            failure = ModelNotFound(f"{failure} Near: {near}.")
            traits["near"] = near
        _log.warning(CALL_FAILED, provider=self._prefix, model=model, code=failure.code, **traits)
        return _Failure(failure, is_of_key=seconds is not None)
