"""OpenAI's Batch API: files of lines in, files of lines out."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from openai import APIStatusError, OpenAIError
from openai.types import Batch
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.batch import BatchRequest, BatchResult

from backend.integrations.models.batch_lines import read_answer, read_lines
from backend.integrations.models.openai import OpenAI
from backend.integrations.models.questions import Question
from backend.ports.batches import BatchAnswer, Sought

_ENDPOINT: Literal["/v1/responses"] = "/v1/responses"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# Whatever becomes of us, it keeps no file for longer.
_KEPT_S = 3 * 86_400
_SERVER_ERROR = 500


class OpenAIBatches:
    """Batches of questions to the Responses API."""

    errors: tuple[type[Exception], ...] = (OpenAIError,)

    def __init__(self, vendor: OpenAI) -> None:
        """Nothing is connected yet.

        Args:
            vendor: Whose clients are used.
        """
        self._client = vendor.client

    async def encode(self, question: Question) -> tuple[str, Sequence[str]]:
        """Return the body as pydantic-ai's model class makes it."""
        return (await question.model.batch_encode(request_of(question))).body, ()

    async def decode(self, question: Question, answer: BatchAnswer) -> ModelResponse:
        """Return the answer as pydantic-ai's model class reads it."""
        return question.model.batch_decode(result_of(answer), request_of(question))

    async def submit(
        self, key: str, batch_id: str, grouping: Mapping[str, Any], items: Sequence[tuple[str, str]]
    ) -> str:
        """Return the id of the batch; its metadata say which of ours it is."""
        del grouping
        client = self._client(key)
        head = '{"custom_id":%s,"method":"POST","url":"' + _ENDPOINT + '","body":%s}'
        lines = (head % (json.dumps(item_id), body) for item_id, body in items)
        file = await client.files.create(
            file=(f"{batch_id}.jsonl", "\n".join(lines).encode()),
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": _KEPT_S},
        )
        try:
            batch = await client.batches.create(
                input_file_id=file.id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={"batch": batch_id},
                output_expires_after={"anchor": "created_at", "seconds": _KEPT_S},
            )
        except APIStatusError as error:
            if error.status_code < _SERVER_ERROR:
                with suppress(OpenAIError):
                    await client.files.delete(file.id)
            raise
        return batch.id

    async def find(self, key: str, sought: Sought) -> str | None:
        """Return the id of the batch with these metadata."""
        async for batch in self._client(key).batches.list(limit=100):
            if (batch.metadata or {}).get("batch") == sought.batch_id:
                return batch.id
            if batch.created_at < sought.since_s:
                break
        return None

    async def ended(self, key: str, vendor_id: str) -> Batch | None:
        """Return the batch."""
        batch = await self._client(key).batches.retrieve(vendor_id)
        return batch if batch.status in _ENDED else None

    async def answers(self, key: str, batch: Batch) -> dict[str, BatchAnswer]:
        """Return what stands in the files of answers and of errors."""
        client = self._client(key)
        found: dict[str, BatchAnswer] = {}
        for file_id in _answers_of(batch):
            found |= read_lines((await client.files.content(file_id)).text, read_answer)
        return found

    async def forget(self, key: str, vendor_id: str) -> None:
        """Its files are deleted."""
        client = self._client(key)
        batch = await client.batches.retrieve(vendor_id)
        for file_id in (batch.input_file_id, *_answers_of(batch)):
            with suppress(OpenAIError):
                await client.files.delete(file_id)


def request_of(question: Question) -> BatchRequest:
    """Return the question as pydantic-ai's batches take it."""
    return BatchRequest(
        custom_id="question",
        messages=question.messages,
        model_settings=question.settings,
        model_request_parameters=question.parameters,
    )


def result_of(answer: BatchAnswer) -> BatchResult:
    """Return the answer as pydantic-ai's batches take it."""
    return BatchResult(custom_id="question", status=answer.state, body=answer.body)


def _answers_of(batch: Batch) -> list[str]:
    return [it for it in (batch.output_file_id, batch.error_file_id) if it]
