"""Anthropic's Message Batches, which carry no metadata: whose one is, its answers say."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import httpx2
from anthropic import AnthropicError, omit
from anthropic.types.beta.messages import BetaMessageBatch
from pydantic_ai.messages import ModelResponse

from backend.errors import BatchUndecided
from backend.integrations.models.anthropic import Anthropic
from backend.integrations.models.batch_lines import read_lines
from backend.integrations.models.openai_batches import request_of, result_of
from backend.integrations.models.questions import Question
from backend.ports.batches import BatchAnswer, Sought

_ENDED = "ended"
_ANSWERED = ("succeeded", "errored")


class AnthropicBatches:
    """Batches of questions to the Messages API."""

    errors: tuple[type[Exception], ...] = (AnthropicError,)

    def __init__(self, vendor: Anthropic) -> None:
        """Nothing is connected yet.

        Args:
            vendor: Whose clients are used.
        """
        self._client = vendor.client

    async def encode(self, question: Question) -> tuple[str, Sequence[str]]:
        """Return the body as pydantic-ai's model class makes it, and the betas that it needs."""
        encoded = await question.model.batch_encode(request_of(question))
        return encoded.body, json.loads(encoded.group)["betas"]

    async def decode(self, question: Question, answer: BatchAnswer) -> ModelResponse:
        """Return the answer as pydantic-ai's model class reads it."""
        return question.model.batch_decode(result_of(answer), request_of(question))

    async def submit(
        self, key: str, batch_id: str, grouping: Mapping[str, Any], items: Sequence[tuple[str, str]]
    ) -> str:
        """Return the id of the batch."""
        del batch_id
        batch = await self._client(key).beta.messages.batches.create(
            requests=[
                {"custom_id": item_id, "params": cast("Any", json.loads(body))}
                for item_id, body in items
            ],
            betas=list(grouping["traits"]) or omit,
        )
        return batch.id

    async def find(self, key: str, sought: Sought) -> str | None:
        """Return the id of the batch that has answered our questions.

        Raises:
            BatchUndecided: One that is as old and no larger has no answers yet.
        """
        is_undecided = False
        async for batch in self._recent(key, sought):
            if batch.processing_status != _ENDED:
                is_undecided = True
            elif sought.item_ids & (await self.answers(key, batch)).keys():
                return batch.id
        if is_undecided:
            raise BatchUndecided("A batch that may be this one has not ended yet.")
        return None

    async def ended(self, key: str, vendor_id: str) -> BetaMessageBatch | None:
        """Return the batch."""
        batch = await self._client(key).beta.messages.batches.retrieve(vendor_id)
        return batch if batch.processing_status == _ENDED else None

    async def answers(self, key: str, batch: BetaMessageBatch) -> dict[str, BatchAnswer]:
        """Return its results."""
        # Its client follows the address in the answer, past a server that stands in between.
        path = f"/v1/messages/batches/{batch.id}/results?beta=true"
        found = await self._client(key).get(path, cast_to=httpx2.Response)
        return read_lines(found.text, _answer)

    async def forget(self, key: str, vendor_id: str) -> None:
        """It is deleted."""
        await self._client(key).beta.messages.batches.delete(vendor_id)

    async def _recent(self, key: str, sought: Sought) -> AsyncIterator[BetaMessageBatch]:
        async for batch in self._client(key).beta.messages.batches.list(limit=100):
            if batch.created_at.timestamp() < sought.since_s:
                return
            counts = batch.request_counts.model_dump().values()
            # Fewer, where some of them were gone when it was made.
            if batch.id not in sought.others and sum(counts) <= len(sought.item_ids):
                yield batch


def _answer(line: Any) -> BatchAnswer:
    result = line["result"]
    if result["type"] in _ANSWERED:
        return BatchAnswer(result["type"], json.dumps(result))
    return BatchAnswer("expired")
