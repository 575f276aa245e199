"""Who reads a session's stream over HTTP, and what becomes of it in their hands."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

Event = dict[str, Any]
ENDINGS = {"run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"}


@dataclass(frozen=True)
class Frame:
    """One server-sent event as it came."""

    raw: str
    id: str | None
    event: Event

    @property
    def type(self) -> str:
        return str(self.event["type"])


class StreamReader:
    """A signed-in user at one session's address."""

    def __init__(
        self, client: httpx.AsyncClient, session: UUID | str, token: Callable[[], str]
    ) -> None:
        self._client = client
        self._path = f"/sessions/{session}/events"
        self._token = token

    @asynccontextmanager
    async def open(self, last_event_id: str | None = None) -> AsyncIterator[AsyncIterator[Frame]]:
        """Yield the frames of one connection; leaving the block hangs up."""
        headers = {"authorization": f"Bearer {self._token()}"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        async with self._client.stream("GET", self._path, headers=headers) as response:
            if response.status_code != 200:
                await response.aread()
            assert response.status_code == 200, response.text
            yield frames_of(response.aiter_lines())

    async def read(self, last_event_id: str | None = None) -> list[Frame]:
        """Return the frames until nothing is left to say: the newest run of all has ended."""
        async with self.open(last_event_id) as frames:
            return [frame async for frame in until_ending(frames)]


async def frames_of(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    """Yield frames; comments and bare `retry` fields are not any."""
    block: list[str] = []
    async for line in lines:
        if line:
            block.append(line)
            continue
        fields = dict(part.split(": ", 1) for part in block if not part.startswith(":"))
        if "data" in fields:
            raw = "\n".join(part for part in block if not part.startswith(("retry:", ":")))
            event = json.loads(fields["data"])
            assert event["type"] == fields["event"]
            yield Frame(raw, fields.get("id"), event)
        block = []


async def until_ending(frames: AsyncIterator[Frame], times: int = 1) -> AsyncIterator[Frame]:
    """Yield frames up to the end of so many runs."""
    async for frame in frames:
        yield frame
        times -= frame.type in ENDINGS
        if not times:
            return


@dataclass
class Transcript:
    """What a reader has, who applies each event once and in its order."""

    last_event_id: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    endings: dict[str, Event] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)
    _seqs: dict[str, int] = field(default_factory=dict)

    def hear(self, frame: Frame) -> None:
        """Apply the frame; a gap, or an event that comes twice, is an error."""
        if frame.id is not None:
            self.last_event_id = frame.id
        if frame.type.startswith("stream."):
            return
        event = frame.event
        run = event["run_id"]
        assert event["seq"] == self._seqs.get(run, 0) + 1, (frame.raw, self._seqs)
        assert run not in self.endings, frame.raw
        self._seqs[run] = event["seq"]
        self.raw.append(frame.raw)
        match event["type"]:
            case "message.delta":
                message = event["message_id"]
                self.texts[message] = self.texts.get(message, "") + event["text"]
            case "message.discarded":
                self.texts.pop(event["message_id"], None)
            case ending if ending in ENDINGS:
                self.endings[run] = event
