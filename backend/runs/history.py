"""Rows into the conversation that a model is given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from backend.domain.ids import CallId
from backend.domain.messages import Message, Part, Text, ToolCall, ToolResult
from backend.domain.runs import History, Step
from backend.domain.usage import Usage, usage_from_json


def conversation(history: History) -> list[Message]:
    """Return the turns so far, the answered message and this run's own rounds last.

    Rows without words are left out, a tool's result follows its call, and a call without a result
    or a result without a call is left out: providers refuse both.
    """
    turns = [turn for message in history.messages for turn in _turns(message)]
    turns += own_turns(history.said, history.steps)
    return _joined(_paired(turns))


def own_turns(said: Sequence[Message], steps: Iterable[Step]) -> list[Message]:
    """Return what the run itself said and called, in its order.

    Args:
        said: Its texts, the first one first.
        steps: Its calls by position; `ordinal` tells how many texts came before, `round` which
            calls the model made at once.
    """
    turns: list[Message] = []
    spoken = 0
    for _, group in groupby(steps, key=_round):
        calls = list(group)
        before = _number(calls[0], "ordinal")
        turns += said[spoken:before]
        spoken = max(spoken, before)
        kept = calls[0].data.get("kept")
        asked = tuple(_call(step) for step in calls)
        turns.append(Message("assistant", asked, kept if isinstance(kept, dict) else None))
        turns.append(
            Message("tool", tuple(_result(step) for step in calls if "output" in step.data))
        )
    return [*turns, *said[spoken:]]


def rounds(steps: Iterable[Step]) -> int:
    """Return how often the run has asked for tools."""
    return len({_round(step) for step in steps})


def usage_of(steps: Iterable[Step]) -> Usage:
    """Return what the earlier rounds cost; each keeps it in its first step."""
    return sum((usage_from_json(step.data.get("usage")) for step in steps), Usage())


def model_of(steps: Iterable[Step]) -> str:
    """Return which model asked for tools last; none where nobody said."""
    told = (str(step.data.get("model") or "") for step in steps)
    return next((it for it in reversed(list(told)) if it), "")


def _turns(message: Message) -> Iterator[Message]:
    """Split an outcome row at its tool results: they are the tool's turn."""
    if message.role == "user":
        yield message
        return
    for is_result, parts in groupby(message.parts, key=lambda part: isinstance(part, ToolResult)):
        yield Message("tool" if is_result else "assistant", tuple(parts))


def _paired(turns: Sequence[Message]) -> Iterator[Message]:
    for position, turn in enumerate(turns):
        following = turns[position + 1].parts if position + 1 < len(turns) else ()
        previous = turns[position - 1].parts if position else ()
        kept = tuple(
            part
            for part in turn.parts
            if _is_answered(part, following) and _is_asked(part, previous) and _says(part)
        )
        if kept:
            yield replace(turn, parts=kept)


def _is_answered(part: Part, following: Sequence[Part]) -> bool:
    return not isinstance(part, ToolCall) or part.call_id in _ids(following, ToolResult)


def _is_asked(part: Part, previous: Sequence[Part]) -> bool:
    return not isinstance(part, ToolResult) or part.call_id in _ids(previous, ToolCall)


def _says(part: Part) -> bool:
    return not isinstance(part, Text) or part.text != ""


def _ids(parts: Sequence[Part], kind: type[ToolCall] | type[ToolResult]) -> set[CallId]:
    return {part.call_id for part in parts if isinstance(part, kind)}


def _joined(turns: Iterable[Message]) -> list[Message]:
    """Join what the assistant said in one go; several messages of a user stay several."""
    joined: list[Message] = []
    for turn in turns:
        if joined and turn.role == joined[-1].role == "assistant":
            kept = turn.kept or joined[-1].kept
            joined[-1] = Message("assistant", joined[-1].parts + turn.parts, kept)
        else:
            joined.append(turn)
    return joined


def _round(step: Step) -> int:
    return _number(step, "round", default=step.position)


def _number(step: Step, key: str, *, default: int = 0) -> int:
    value = step.data.get(key, default)
    return value if isinstance(value, int) else default


def _call(step: Step) -> ToolCall:
    arguments = step.data.get("arguments")
    return ToolCall(
        CallId(str(step.data["call_id"])),
        str(step.data["name"]),
        arguments if isinstance(arguments, dict) else {},
    )


def _result(step: Step) -> ToolResult:
    return ToolResult(
        CallId(str(step.data["call_id"])), step.data["output"], step.status == "failed"
    )
