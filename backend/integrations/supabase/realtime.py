"""Supabase Realtime's Broadcast over HTTP, on private topics."""

import math
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import httpx
import pydantic_core

from backend.domain.ids import SessionId
from backend.domain.json_values import JsonObject
from backend.ports.broadcasts import Answer, Batch, Verdict

_PATH = "/realtime/v1/api/broadcast"
# 256 kB on the free plan, measured in Erlang's terms, which take up to 1.7 times the JSON.
_MESSAGE_BYTES = 150_000
_POST_BYTES = 1_000_000
_MOST_WAIT_S = 60.0
_VERDICTS: dict[int, Verdict] = {
    400: "refused",
    401: "impossible",
    403: "impossible",
    404: "impossible",
    413: "refused",
    422: "refused",
    429: "slower",
}


class RealtimeBroadcasts:
    """One project's Realtime; 202 says that it took the messages, not that anybody heard them."""

    def __init__(self, supabase_url: str, secret_key: str, *, timeout_s: float = 5.0) -> None:
        """Nothing is connected yet.

        Args:
            supabase_url: Of the project, without a path.
            secret_key: `sb_secret_…`, or a legacy service_role key.
            timeout_s: For the connection, and for each silence after it.
        """
        self._url = supabase_url.rstrip("/") + _PATH
        self._client = httpx.AsyncClient(
            # Such a key is no JWT, so it stands here alone; the gateway says who it is.
            headers={"apikey": secret_key, "content-type": "application/json"},
            timeout=timeout_s,
            follow_redirects=False,
            # Without TLS only this machine is asked, never a proxy that the environment names.
            mounts={"http://": None},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def send(self, batch: Batch) -> Answer:
        """Post the events, in as few messages and requests as their sizes allow."""
        sent = 0
        for messages in _posts(batch):
            sent += len(messages)
            answer = await self._post(messages, sent)
            if answer.verdict != "taken":
                return answer
        return Answer("taken", sent)

    async def _post(self, messages: Sequence[bytes], sent: int) -> Answer:
        body = b'{"messages":[' + b",".join(messages) + b"]}"
        try:
            response = await self._client.post(self._url, content=body)
        except (httpx.HTTPError, httpx.InvalidURL):
            return Answer("later", sent)
        status = response.status_code
        verdict = "taken" if response.is_success else _VERDICTS.get(status, "later")
        return Answer(verdict, sent, status, _retry_after_s(response))


def _posts(batch: Batch) -> Iterator[list[bytes]]:
    post: list[bytes] = []
    size = 0
    for session_id, events in batch:
        for message in _messages(session_id, events):
            if post and size + len(message) > _POST_BYTES:
                yield post
                post, size = [], 0
            post.append(message)
            size += len(message)
    if post:
        yield post


def _messages(session_id: SessionId, events: Sequence[JsonObject]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for event in map(pydantic_core.to_json, events):
        if held and size + len(event) > _MESSAGE_BYTES:
            yield _message(session_id, held)
            held, size = [], 0
        if len(event) > _MESSAGE_BYTES:
            # Who gets a message without events reads the session's stream.
            yield _message(session_id, [])
        else:
            held.append(event)
            size += len(event)
    if held:
        yield _message(session_id, held)


def _message(session_id: SessionId, events: Sequence[bytes]) -> bytes:
    topic = pydantic_core.to_json(f"session:{session_id}")
    payload = b'{"events":[' + b",".join(events) + b"]}"
    return b'{"topic":%b,"event":"events","payload":%b,"private":true}' % (topic, payload)


def _retry_after_s(response: httpx.Response) -> float:
    try:
        seconds = float(response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), _MOST_WAIT_S) if math.isfinite(seconds) else 0.0
