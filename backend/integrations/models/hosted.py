"""The provider behind every prefix whose models are asked over HTTP.

What differs from vendor to vendor is behind `Vendor`. Nothing is tried twice here (the run's own
retry is the only one), except that a key which is refused before the first word makes room for the
next; and what is said reaches no log and nobody but the provider.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

import structlog
from httpx2 import AsyncClient
from pydantic_ai.direct import model_request_stream
from pydantic_ai.embeddings import EmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from backend.domain.json_values import JsonObject
from backend.errors import AssistantsError, ModelNotFound, ModelRefused
from backend.integrations.models.failures import (
    CLIENT_ERRORS,
    failure_of,
    leave_key_aside_s,
    traits_of,
)
from backend.integrations.models.keys import KeyRing
from backend.integrations.models.requests import parameters_of, settings_of
from backend.integrations.models.stream import events_of
from backend.integrations.models.turns import model_messages
from backend.integrations.models.vectors import embed_with
from backend.ports.models import Embeddings, ModelEvent, ModelReply, ModelRequest
from backend.ports.replies import collect

CALL_FAILED = "model.call_failed"
_log = structlog.get_logger()


class Vendor(Protocol):
    """What is particular about one vendor, or one server."""

    names: Sequence[str]
    """Of models that are known, to name those that are near a wrong one."""
    errors: tuple[type[Exception], ...]
    """What its client raises, where pydantic-ai does not put it into an error of its own."""

    call_id_length: int | None
    """Of the ids of tool calls, where it takes no other: so many letters and digits."""
    rehearsal: Sequence[JsonObject]
    """The events of a short answer with a word and a tool call, for `rehearse`."""

    def model(self, key: str, name: str) -> Model:
        """Return the model of this name, asked with this key."""
        ...

    def settings(self, common: ModelSettings) -> ModelSettings:
        """Return what is sent beside the conversation: the common settings and its own."""
        ...

    def embedder(self, key: str, name: str) -> EmbeddingModel | None:
        """Return the embedding model of this name, or none where the vendor has no such thing."""
        ...


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
                async with aclosing(self._answer(key, request)) as events:
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

    async def _answer(self, key: str, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        call = model_request_stream(
            self._vendor.model(key, request.model),
            model_messages(request.messages, self._vendor.call_id_length),
            model_settings=self._vendor.settings(settings_of(request)),
            model_request_parameters=parameters_of(request),
            instrument=False,
        )
        async with call as response, aclosing(events_of(response)) as events:
            async for event in events:
                yield event

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
