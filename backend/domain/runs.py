"""Runs: what a worker holds while it makes one answer, and how an answer ends."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from backend.domain.asker import Asker, asker_from_json
from backend.domain.assistants import Assistant, assistant_from_json
from backend.domain.ids import MessageId, RunId, SessionId
from backend.domain.json_values import JsonObject
from backend.domain.messages import Message, parts_from_json

Ending: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this worker holds under a lease, as long as the fence is the newest."""

    run_id: RunId
    session_id: SessionId
    model: str
    fence: int
    """Counts the claims of this run, so the first attempt has 1."""
    next_seq: int
    next_ordinal: int
    discarded_message_id: MessageId | None
    """Text that an earlier attempt streamed and that no row holds: readers must forget it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A tool call; with a result it will not be made again."""

    position: int
    status: str
    data: JsonObject
    """`call_id`, `name`, `arguments`, `round`, `ordinal` and, once it is made, `output`."""

    def as_json(self) -> JsonObject:
        """Return the form that rows keep."""
        data = dict(self.data)
        return {"position": self.position, "type": "tool_call", "status": self.status, "data": data}


@dataclass(frozen=True, slots=True)
class History:
    """All that a run needs to ask its model."""

    assistant: Assistant | None
    """None once it was deleted."""
    asker: Asker
    messages: tuple[Message, ...]
    """Oldest first, up to the answered message."""
    said: tuple[Message, ...]
    """What this run has said since, by ordinal."""
    steps: tuple[Step, ...]
    summary: JsonObject | None = None
    """What the beginning of the conversation said, as it was kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends."""

    status: Ending
    reason: str | None = None
    error: str | None = None


COMPLETED = Outcome("completed")


def claim_from_json(row: Any) -> Claim:
    """Return one claim of `claim_runs`."""
    return Claim(
        run_id=RunId(row["run_id"]),
        session_id=SessionId(row["session_id"]),
        model=row["model"],
        fence=row["fence"],
        next_seq=row["next_seq"],
        next_ordinal=row["next_ordinal"],
        discarded_message_id=row["discarded_message_id"],
    )


def history_from_json(row: Any, run_id: str, *, texts_said: int) -> History:
    """Return the history of `run_history`.

    Args:
        row: What the function returned; the run's own texts come last.
        run_id: The run's.
        texts_said: How many texts it has said; the owner may have deleted some since.
    """
    messages = [Message(it["role"], parts_from_json(it["content"])) for it in row["messages"]]
    answered = len(messages)
    while texts_said and answered and messages[answered - 1].role == "assistant":
        texts_said -= 1
        answered -= 1
    return History(
        assistant=assistant_from_json(row["assistant"]) if row["assistant"] else None,
        asker=asker_from_json(row, run_id),
        messages=tuple(messages[:answered]),
        said=tuple(messages[answered:]),
        steps=tuple(Step(it["position"], it["status"], it["data"]) for it in row["steps"]),
        summary=row.get("summary"),
    )
