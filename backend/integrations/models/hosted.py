"""The provider behind every prefix whose models are asked over HTTP.

What differs from vendor to vendor is behind `Vendor`. Each call takes its key's turn first. Nothing
is tried twice here, except that a key which is refused before the first word makes room for the
next; and what is said reaches no log and nobody but the provider.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import structlog
from httpx2 import AsyncClient

from backend.domain.asker import Asker
from backend.domain.options import Options
from backend.domain.usage import Usage
from backend.errors import (
    AssistantsError,
    ModelNotFound,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
)
from backend.integrations.models.batches import BatchWire, HostedBatches
from backend.integrations.models.expected import expected_tokens
from backend.integrations.models.failures import (
    CLIENT_ERRORS,
    failure_of,
    leave_key_aside_s,
    traits_of,
)
from backend.integrations.models.keys import KeyRing
from backend.integrations.models.questions import answer_of
from backend.integrations.models.reasons import address_of
from backend.integrations.models.vectors import batches, embed_with
from backend.integrations.models.vendors import Vendor
from backend.ports.limits import Asked, NoLimits, RateLimits, Turn
from backend.ports.models import Embeddings, Finished, ModelEvent, ModelRequest
from backend.ports.replies import Streamed

CALL_FAILED = "model.call_failed"
# OpenAI takes 300,000 tokens in one request, Mistral 16,384: a byte is a token at most, mostly a third.
_MOST_EMBEDDED_BYTES = 300_000
_EMBEDDED_BYTES = {"mistral": 40_000}
_NO_ANSWER = Options(max_output_tokens=0)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Failure:
    meaning: AssistantsError
    is_of_key: bool
    """Another key may do."""


class HostedProvider(Streamed):
    """Serves the models of one vendor; its connections are shared by all calls."""

    def __init__(
        self,
        prefix: str,
        vendor: Vendor,
        keys: KeyRing,
        pool: AsyncClient,
        limits: RateLimits | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            prefix: Of its model ids, for logs.
            vendor: Uses the same pool.
            keys: Of the accounts with it.
            pool: Of connections; from now on the provider's own.
            limits: Say when a key may be used; without them always.
        """
        self._prefix = prefix
        self._vendor = vendor
        self._keys = keys
        self._pool = pool
        self._limits = limits or NoLimits()
        self._address = address_of(vendor.base_url)
        self._errors: tuple[type[Exception], ...] = (*CLIENT_ERRORS, *vendor.errors)

    async def aclose(self) -> None:
        """No connection is open; calls that were under way have failed."""
        await self._pool.aclose()

    def batches(self, wire: Callable[[Any], BatchWire]) -> HostedBatches:
        """Return the vendor's batches, which use the same keys and connections.

        Args:
            wire: Given the vendor, what speaks of batches with it.
        """
        return HostedBatches(self._prefix, self._vendor, self._keys, wire(self._vendor))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer as it comes, its whole tool calls at the end, Finished last.

        Raises:
            ModelRateLimited: All keys are at their limit, by our own count or the provider's.
        """
        keys = await self._keys.deal()
        tokens = expected_tokens(request)
        for number, key in enumerate(keys, start=1):
            is_silent, is_last = True, number == len(keys)
            turn = await self._turn(key, request, tokens, is_last=is_last)
            if turn is None:
                continue
            try:
                async with aclosing(answer_of(self._vendor, self._prefix, key, request)) as events:
                    async for event in events:
                        is_silent = False
                        if isinstance(event, Finished):
                            turn.answered(event.usage)
                        yield event
            except self._errors as error:
                failed = self._failure(error, key, request.model)
                if isinstance(failed.meaning, ModelRateLimited):
                    await turn.refused(failed.meaning.retry_after_s)
                if is_last or not (failed.is_of_key and is_silent):
                    raise failed.meaning from None
            else:
                return

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str,
        asker: Asker | None = None,  # noqa: ARG002 - as the port says
    ) -> Embeddings:
        """Return unit vectors; many texts are several calls, one after the other.

        Raises:
            ModelRefused: The vendor has no such models.
        """
        vectors: list[Sequence[float]] = []
        usage = Usage()
        for some in batches(texts, _EMBEDDED_BYTES.get(self._prefix, _MOST_EMBEDDED_BYTES)):
            try:
                found = await self._embed_at_once(some, model)
            except ModelUnavailable as error:
                # Those before it were answered.
                error.may_cost |= bool(vectors)
                raise
            vectors += found.vectors
            usage += found.usage
        return Embeddings(vectors, usage)

    async def _embed_at_once(self, texts: Sequence[str], model: str) -> Embeddings:
        keys = await self._keys.deal()
        for number, key in enumerate(keys, start=1):
            embedder = self._vendor.embedder(key, model)
            if embedder is None:
                raise ModelRefused(f"{self._prefix} has no models that embed.")
            is_last = number == len(keys)
            asked = ModelRequest(model, (), "".join(texts), options=_NO_ANSWER)
            turn = await self._turn(key, asked, expected_tokens(asked), is_last=is_last)
            if turn is None:
                continue
            try:
                found = await embed_with(embedder, texts)
            except self._errors as error:
                failed = self._failure(error, key, model)
                if isinstance(failed.meaning, ModelRateLimited):
                    await turn.refused(failed.meaning.retry_after_s)
                if is_last or not failed.is_of_key:
                    raise failed.meaning from None
            else:
                turn.answered(found.usage)
                return found
        raise AssertionError("A ring of keys is never empty.")

    async def _turn(
        self, key: str, request: ModelRequest, tokens: int, *, is_last: bool
    ) -> Turn | None:
        """Return the turn of this key, or none where the next key may have an earlier one."""
        most = request.options.max_output_tokens
        asked = Asked(self._prefix, request.model, key, tokens, most, request.attempt > 1)
        try:
            return await self._limits.take(asked)
        except ModelRateLimited:
            if is_last:
                raise
            return None

    def _failure(self, error: Exception, key: str, model: str) -> _Failure:
        failure = failure_of(error)
        traits: dict[str, str | int | float] = {"address": self._address, **traits_of(error)}
        seconds = leave_key_aside_s(error)
        if seconds is not None:
            traits |= {"key_number": self._keys.leave_aside(key, seconds), "key_aside_s": seconds}
        others = [it for it in self._vendor.names if it != model]
        if isinstance(failure, ModelNotFound) and (
            near := ", ".join(get_close_matches(model, others))
        ):
            failure = ModelNotFound(f"{failure} Near: {near}.")
            traits["near"] = near
        _log.warning(CALL_FAILED, provider=self._prefix, model=model, code=failure.code, **traits)
        return _Failure(failure, is_of_key=seconds is not None)
