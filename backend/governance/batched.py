"""What may wait is asked in a batch: the run gives its slot back, and finds the answer when it is there.

A question is known by its run and its place there, so that whoever claims the run again finds it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog

from backend.domain.asker import Asker
from backend.domain.usage import Usage
from backend.errors import AssistantsError, ModelPending
from backend.governance.estimates import Heard
from backend.governance.keys import question_key
from backend.ports.batches import BatchAnswer, BatchService
from backend.ports.gateway import Gateway
from backend.ports.models import (
    Embeddings,
    Finished,
    LLMProvider,
    ModelEvent,
    ModelRequest,
)
from backend.ports.replies import Streamed, collect
from backend.telemetry.names import BATCH_ANSWER_SPOILT

_LARGEST_BYTES = 4 * 1024 * 1024
_WAITS = "The answer is being made in a batch."
_log = structlog.get_logger()


def may_wait(request: ModelRequest) -> bool:
    """Return whether a run asks that wants its answer cheap rather than soon."""
    return request.options.service == "batch" and _has_place(request)


def may_have_waited(request: ModelRequest) -> bool:
    """Return whether the question may be in a batch, whatever its assistant says by now."""
    return may_wait(request) or (request.attempt > 1 and _has_place(request))


class Landed(Streamed):
    """Gives answers that have come in a batch, whatever budgets and caches would say by now."""

    def __init__(
        self, provider: LLMProvider, services: Mapping[str, BatchService], gateway: Gateway
    ) -> None:
        """Ready.

        Args:
            provider: Answers all else, by whole ids.
            services: By the prefixes of their models.
            gateway: The way to the answers.
        """
        self._provider = provider
        self._services = services
        self._gateway = gateway

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer, all at once where it came in a batch.

        Raises:
            ModelPending: It has not come yet.
        """
        landed = await self._landed(request) if may_have_waited(request) else None
        if landed is not None:
            for event in landed:
                yield event
            return
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; nobody waits for them."""
        return await self._provider.embed(texts, model=model, asker=asker)

    async def _landed(self, request: ModelRequest) -> list[ModelEvent] | None:
        asked = {"p_run": _run_of(request), "p_digest": question_key(request)}
        found = await self._gateway.call("engine.find_batched", asked)
        for item in found:
            if (item["answer"] or {}).get("state") == "succeeded" and (
                events := await self._read(item, request)
            ):
                return events
        if any(item["state"] == "waiting" for item in found):
            raise ModelPending(_WAITS)
        return None

    async def _read(self, item: Mapping[str, Any], request: ModelRequest) -> list[ModelEvent]:
        service = self._services.get(item["provider"])
        if service is None:
            return []
        # It was asked with whatever its model takes.
        asked = replace(request, model=item["model"], stands_in=True)
        model = f"{item['provider']}:{item['model']}"
        try:
            async with aclosing(service.decode(BatchAnswer(**item["answer"]), asked)) as events:
                told = [event async for event in events]
        except AssistantsError as error:
            # Asked directly, the model may give one that can be read.
            _log.warning(BATCH_ANSWER_SPOILT, model=model, code=error.code)
            return []
        final = told.pop() if told else None
        if not isinstance(final, Finished):
            return []
        return [*told, replace(final, model=model, usage=_usage(final, item, told))]


class Batched(Streamed):
    """One provider, whose models are asked in batches where a run may wait."""

    def __init__(
        self, provider: LLMProvider, prefix: str, service: BatchService, gateway: Gateway
    ) -> None:
        """Ready.

        Args:
            provider: Asked directly.
            prefix: Of its model ids.
            service: Its batches.
            gateway: The way to the questions that wait.
        """
        self._provider = provider
        self._prefix = prefix
        self._service = service
        self._gateway = gateway

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer of a question that cannot wait, or that no batch has answered.

        Raises:
            ModelPending: The question waits in a batch.
        """
        if may_wait(request):
            await self._wait(request)
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; nobody waits for them."""
        return await self._provider.embed(texts, model=model, asker=asker)

    async def _wait(self, request: ModelRequest) -> None:
        """Return quietly where the model is to be asked directly."""
        encoded = await self._service.encode(request)
        if len(encoded.body.encode()) > _LARGEST_BYTES:
            return
        item = {
            "run_id": _run_of(request),
            "digest": question_key(request),
            "provider": self._prefix,
            "model": request.model,
            "grouping": encoded.grouping,
            "body": encoded.body,
        }
        found = await self._gateway.call("engine.queue_batched", {"p_item": item})
        if found["state"] == "waiting":
            raise ModelPending(_WAITS)
        if found["state"] == "done":
            await self._raise_refusal(BatchAnswer(**found["answer"]), request)

    async def _raise_refusal(self, answer: BatchAnswer, request: ModelRequest) -> None:
        try:
            await collect(self._service.decode(answer, request))
        except AssistantsError as error:
            # What may pass has perhaps passed by now; and thoughts that another account encrypted
            # are left out where it is asked directly.
            if not (error.retryable or any(turn.kept for turn in request.messages)):
                raise


def _has_place(request: ModelRequest) -> bool:
    return bool(request.place and _run_of(request))


def _run_of(request: ModelRequest) -> str | None:
    return request.asker.run_id if request.asker else None


def _usage(final: Finished, item: Mapping[str, Any], told: Sequence[ModelEvent]) -> Usage:
    if final.usage.input_tokens + final.usage.output_tokens:
        return final.usage
    # Whoever adds up comes to what the ledger says, where the provider does not count, too.
    heard = Heard()
    for event in told:
        heard.hear(event)
    return heard.usage_in_batch(item["bytes"], item["answer"]["body"])
