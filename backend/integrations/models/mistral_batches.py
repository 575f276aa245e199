"""Mistral's batch jobs.

Its own client is left aside: it refuses jobs of servers that tell times and files in other words. The
question is what its client would send, and the answer what it would read: both go through it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2
from mistralai.client.errors import MistralError
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelResponse

from backend.integrations.models.batch_lines import read_all, read_answer, read_lines
from backend.integrations.models.mistral import Mistral
from backend.integrations.models.questions import Question
from backend.ports.batches import BatchAnswer, Sought

_ENDPOINT = "/v1/chat/completions"
_JOBS = "/v1/batch/jobs"
_UNDER_WAY = frozenset({"QUEUED", "RUNNING", "CANCELLATION_REQUESTED"})
_PAGE = 100
_OK = 200


class MistralBatches:
    """Batches of questions for chat completions."""

    errors: tuple[type[Exception], ...] = (MistralError,)

    def __init__(self, vendor: Mistral) -> None:
        """Nothing is connected yet.

        Args:
            vendor: Whose connections are used.
        """
        self._vendor = vendor

    async def encode(self, question: Question) -> tuple[str, Sequence[str]]:
        """Return the body that its client would send."""
        sent: list[dict[str, Any]] = []

        def take(request: httpx2.Request) -> httpx2.Response:
            sent.append(json.loads(request.content))
            return httpx2.Response(_OK, json=_NOTHING)

        await self._ask(question, take)
        body = {name: it for name, it in sent[0].items() if name not in ("model", "stream")}
        return json.dumps(body), ()

    async def decode(self, question: Question, answer: BatchAnswer) -> ModelResponse:
        """Return what its client reads out of the answer."""
        told = json.loads(answer.body or "{}")
        is_whole = answer.state == "succeeded"
        status, body = (_OK, told) if is_whole else (told["status_code"], told["body"])
        return await self._ask(question, lambda _: httpx2.Response(status, json=body))

    async def submit(
        self, key: str, batch_id: str, grouping: Mapping[str, Any], items: Sequence[tuple[str, str]]
    ) -> str:
        """Return the id of the job; its metadata say which of ours it is."""
        asked = [{"custom_id": item_id, "body": json.loads(body)} for item_id, body in items]
        job = {
            "endpoint": _ENDPOINT,
            "model": grouping["model"],
            "metadata": {"batch": batch_id},
            "timeout_hours": 24,
            "requests": asked,
        }
        made = (await self._call(key, "POST", _JOBS, json=job)).json()
        return str(made["id"])

    async def find(self, key: str, sought: Sought) -> str | None:
        """Return the id of the job with these metadata."""
        page = 0
        while True:
            wanted = {"page": page, "page_size": _PAGE, "order_by": "-created"}
            found = (await self._call(key, "GET", _JOBS, params=wanted)).json().get("data") or []
            for job in found:
                if (job.get("metadata") or {}).get("batch") == sought.batch_id:
                    return str(job["id"])
            if len(found) < _PAGE or _is_before(found[-1], sought.since_s):
                return None
            page += 1

    async def ended(self, key: str, vendor_id: str) -> Mapping[str, Any] | None:
        """Return the job."""
        job: Mapping[str, Any] = await self._job(key, vendor_id)
        return None if job["status"] in _UNDER_WAY else job

    async def answers(self, key: str, batch: Mapping[str, Any]) -> dict[str, BatchAnswer]:
        """Return what stands in the job itself, or in its files."""
        found = read_all(batch.get("outputs") or (), read_answer)
        for file_id in _files_of(batch):
            content = await self._call(key, "GET", f"/v1/files/{file_id}/content")
            found |= read_lines(content.text, read_answer)
        return found

    async def forget(self, key: str, vendor_id: str) -> None:
        """Its files are deleted."""
        for file_id in _files_of(await self._job(key, vendor_id)):
            await self._call(key, "DELETE", f"/v1/files/{file_id}")

    async def _job(self, key: str, vendor_id: str) -> Any:
        return (
            await self._call(key, "GET", f"{_JOBS}/{vendor_id}", params={"inline": True})
        ).json()

    async def _call(self, key: str, method: str, path: str, **sent: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{self._vendor.base_url}{path}"
        answer = await self._vendor.pool.request(method, url, headers=headers, **sent)
        return answer.raise_for_status()

    async def _ask(
        self, question: Question, answer: Callable[[httpx2.Request], httpx2.Response]
    ) -> ModelResponse:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as pool:
            alike = Mistral(pool).alike(question.model)
            return await model_request(
                alike,
                question.messages,
                model_settings=question.settings,
                model_request_parameters=question.parameters,
                instrument=False,
            )


_NOTHING = {
    "id": "-",
    "object": "chat.completion",
    "created": 0,
    "model": "-",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "-"}}
    ],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
}


def _files_of(job: Mapping[str, Any]) -> list[str]:
    told = [it for it in (job.get("output_file"), job.get("error_file")) if it]
    return [str(it["id"]) if isinstance(it, dict) else str(it) for it in told]


def _is_before(job: Mapping[str, Any], since_s: float) -> bool:
    made = job.get("created_at")
    return isinstance(made, int | float) and made < since_s
