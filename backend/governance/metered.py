"""Each call to a provider stands in the ledger before anybody hears that it has ended."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from backend.domain.asker import Asker
from backend.domain.tokens import bound_of_text
from backend.domain.usage import Usage
from backend.errors import (
    AssistantsError,
    InternalFailure,
    ModelRateLimited,
    ModelStreamTruncated,
    ModelUnavailable,
)
from backend.governance.estimates import Heard
from backend.governance.prices import Prices
from backend.ports.clock import Clock
from backend.ports.ledger import CANCELLED, COMPLETED, Ledger, ModelCall
from backend.ports.models import (
    Embeddings,
    Finished,
    LLMProvider,
    ModelEvent,
    ModelRequest,
)
from backend.ports.replies import Streamed

_CUT = "model_stream_truncated"


@dataclass(frozen=True, slots=True)
class Billing:
    """What all meters of a process share."""

    ledger: Ledger
    prices: Prices
    clock: Clock


class Metered(Streamed):
    """Records one call for each time that its provider is asked, however that ends.

    A call that waits for its turn at a limit of ours is none.

    A call whose provider told no counts is recorded by estimate, except one that it never had, or
    refused before the first word: that cost nothing.
    """

    def __init__(self, provider: LLMProvider, prefix: str, billing: Billing) -> None:
        """Ready.

        Args:
            provider: Who is asked.
            prefix: Of its model ids.
            billing: Where calls are recorded, at which prices.
        """
        self._provider = provider
        self._prefix = prefix
        self._billing = billing

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer; its call is recorded before Finished, or before what is raised."""
        measured, ledger = self._begin(request)
        final: Finished | None = None
        try:
            async with aclosing(self._provider.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        final = event
                        break
                    measured.hear(event)
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            # Whoever has gone away waits for nothing.
            cut = measured.unfinished(CANCELLED)
            ledger.note(cut)
            if request.when_cut:
                request.when_cut(cut.usage)
            raise
        except Exception as error:
            if not _is_our_own(error):
                await ledger.record(measured.failed(error))
            raise
        if final is None:
            await ledger.record(measured.unfinished(_CUT))
            return
        call = measured.finished(final)
        await ledger.record(call)
        # Whoever adds up comes to what the ledger says, where the provider does not count, too.
        yield replace(final, usage=call.usage)

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; the call is recorded."""
        measured, ledger = self._begin(ModelRequest(model, (), asker=asker))
        try:
            found = await self._provider.embed(texts, model=model, asker=asker)
        except asyncio.CancelledError:
            ledger.note(measured.unfinished(CANCELLED, _bound(texts)))
            raise
        except Exception as error:
            if not _is_our_own(error):
                await ledger.record(measured.failed(error, _bound(texts)))
            raise
        await ledger.record(measured.call(found.usage, COMPLETED))
        return found

    def _begin(self, request: ModelRequest) -> "tuple[_Measured, Ledger]":
        return _Measured(self._prefix, self._billing, request), self._billing.ledger


class _Measured:
    """One call while it is under way."""

    def __init__(self, prefix: str, billing: Billing, request: ModelRequest) -> None:
        self._prefix = prefix
        self._billing = billing
        self._request = request
        self._began = self._now()
        self._first: float | None = None
        self._heard = Heard()

    def hear(self, event: ModelEvent) -> None:
        if self._first is None:
            self._first = self._now()
        self._heard.hear(event)

    def finished(self, final: Finished) -> ModelCall:
        if final.usage.input_tokens + final.usage.output_tokens:
            return self.call(final.usage, COMPLETED, model=final.model)
        # There are servers that do not count, and no call is for nothing.
        spent = self._heard.usage(self._request)
        return self.call(spent, COMPLETED, model=final.model, is_estimated=True)

    def unfinished(self, outcome: str, usage: Usage | None = None) -> ModelCall:
        spent = usage or self._heard.usage(self._request)
        return self.call(spent, outcome, is_estimated=True)

    def failed(self, error: Exception, usage: Usage | None = None) -> ModelCall:
        code = error.code if isinstance(error, AssistantsError) else InternalFailure.code
        if self._first is None and _cost_nothing(error):
            return self.call(Usage(), code)
        return self.unfinished(code, usage)

    def call(
        self, usage: Usage, outcome: str, *, model: str = "", is_estimated: bool = False
    ) -> ModelCall:
        name = model or self._request.model
        first, prices = self._first, self._billing.prices
        # What took no tokens needs no price.
        is_free = not (usage.input_tokens or usage.output_tokens)
        return ModelCall(
            call_id=self._billing.clock.new_id(),
            asker=self._request.asker,
            provider=self._prefix,
            model=name,
            usage=usage,
            outcome=outcome,
            duration_ms=self._since(self._now()),
            first_token_ms=None if first is None else self._since(first),
            is_estimated=is_estimated,
            cost_usd="0" if is_free else prices.cost_usd(self._prefix, name, usage),
            asked_model="" if name == self._request.model else self._request.model,
        )

    def _now(self) -> float:
        return self._billing.clock.monotonic()

    def _since(self, then: float) -> int:
        return max(0, round((then - self._began) * 1000))


def _is_our_own(error: Exception) -> bool:
    """Whether nobody was asked: it is not the call's turn yet."""
    return isinstance(error, ModelRateLimited) and error.has_turn and not error.may_cost


def _cost_nothing(error: Exception) -> bool:
    """Whether no provider has worked on it: there was no connection, or it was refused at once."""
    if isinstance(error, ModelUnavailable):
        return not error.may_cost
    # Of a stream that ended before it began, and of a defect of ours, nobody knows.
    return isinstance(error, AssistantsError) and not isinstance(
        error, ModelStreamTruncated | InternalFailure
    )


def _bound(texts: Sequence[str]) -> Usage:
    return Usage(input_tokens=sum(map(bound_of_text, texts)))
