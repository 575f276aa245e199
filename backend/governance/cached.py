"""Answers that need no second asking, for those who opt in, and vectors of texts, for all."""

import base64
import struct
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import structlog

from backend.domain.asker import Asker
from backend.domain.usage import Usage
from backend.errors import ModelReplyUnreadable
from backend.governance.keys import embedding_key, owner_of, response_key
from backend.governance.replays import Recording, replay
from backend.governance.shared_work import Lead, SharedWork
from backend.ports.caches import Caches, Entry, Hit, Key
from backend.ports.clock import Clock
from backend.ports.ledger import CACHED, Ledger, ModelCall
from backend.ports.models import (
    Embeddings,
    Finished,
    LLMProvider,
    ModelEvent,
    ModelRequest,
)
from backend.ports.replies import Streamed

RESPONSE_REPLAYED = "response.replayed"
_AT_ONCE = 500
_log = structlog.get_logger()


class Cached(Streamed):
    """Asks the provider behind it only for what no cache has."""

    def __init__(self, provider: LLMProvider, caches: Caches, ledger: Ledger, clock: Clock) -> None:
        """Ready.

        Args:
            provider: Answers by whole ids.
            caches: Of answers and of vectors.
            ledger: In which an answer out of the cache is a call, too: one that cost nothing.
            clock: Of the waiting for others.
        """
        self._provider = provider
        self._caches = caches
        self._ledger = ledger
        self._clock = clock
        self._work = SharedWork("responses", caches, clock)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer, as it is made or as it was made before; then its usage is zero."""
        scope, asker = request.options.cache, request.asker
        owner = owner_of(scope, asker) if scope and asker else None
        events = self._shared(request, owner) if owner else self._provider.stream(request)
        async with aclosing(events):
            async for event in events:
                yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; equal texts are embedded once, by whomever."""
        keys = [embedding_key(model, text) for text in texts]
        known = await self._known(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        usage = Usage()
        if missing:
            found = await self._provider.embed(list(missing.values()), model=model, asker=asker)
            usage = found.usage
            made = {
                key: _rounded(vector) for key, vector in zip(missing, found.vectors, strict=True)
            }
            known = {**known, **{key: _unpacked(packed) for key, packed in made.items()}}
            rows = [Entry(key, packed) for key, packed in made.items()]
            for start in range(0, len(rows), _AT_ONCE):
                await self._caches.keep("embeddings", rows[start : start + _AT_ONCE])
        return Embeddings([known[key] for key in keys], usage)

    async def _shared(self, request: ModelRequest, owner: str) -> AsyncGenerator[ModelEvent, None]:
        boarded = await self._work.board(response_key(request, owner))
        events = (
            self._again(request, boarded)
            if isinstance(boarded, Hit)
            else self._made(request, owner, boarded)
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def _again(self, request: ModelRequest, hit: Hit) -> AsyncGenerator[ModelEvent, None]:
        run_id = request.asker.run_id if request.asker else None
        _log.info(RESPONSE_REPLAYED, run_id=run_id, model=request.model)
        self._ledger.note(_free_call(self._clock.new_id(), request))
        for event in replay(hit.value):
            yield event

    async def _made(
        self, request: ModelRequest, owner: str, lead: Lead
    ) -> AsyncGenerator[ModelEvent, None]:
        recording, landed = Recording(), False
        try:
            async with aclosing(self._provider.stream(request)) as events:
                async for event in events:
                    recording.hear(event)
                    if isinstance(event, Finished) and (value := recording.value()) is not None:
                        landed = True
                        if event.stands_in:
                            await self._work.pass_on(lead, value)
                        else:
                            await self._work.land(lead, value, owner=owner)
                    yield event
        finally:
            # However it has ended, nobody waits for this one any more.
            if not landed:
                await self._work.give_up(lead)

    async def _known(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[float]]:
        distinct = list(dict.fromkeys(keys))
        found: dict[Key, object] = {}
        for start in range(0, len(distinct), _AT_ONCE):
            found |= await self._caches.find("embeddings", distinct[start : start + _AT_ONCE])
        return {key: _unpacked(str(packed)) for key, packed in found.items()}


def _free_call(call_id: str, request: ModelRequest) -> ModelCall:
    prefix, _, name = request.model.partition(":")
    return ModelCall(
        call_id=call_id,
        asker=request.asker,
        provider=prefix,
        model=name or request.model,
        usage=Usage(),
        outcome=CACHED,
        duration_ms=0,
        cost_usd="0",
    )


def _rounded(vector: Sequence[float]) -> str:
    """Return the vector in four bytes a number, as vectors are stored and compared anyway."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _unpacked(packed: str) -> Sequence[float]:
    data = base64.b64decode(packed)
    if len(data) % 4:
        raise ModelReplyUnreadable("A vector in the cache is none.")
    return struct.unpack(f"<{len(data) // 4}f", data)
