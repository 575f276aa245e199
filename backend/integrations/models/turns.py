"""A conversation of ours into the messages that pydantic-ai's model classes take.

Words, tool calls and tool results cross; what a model thought never does, and images and files are
left out in this version.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic_ai import messages as wire
from pydantic_core import to_json

from backend.domain.ids import CallId
from backend.domain.json_values import Json
from backend.domain.messages import Message, Text, ToolCall, ToolResult

_LONGEST_NAME = 64
_PORTABLE_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def model_messages(turns: Sequence[Message]) -> list[wire.ModelMessage]:
    """Return the conversation; turns with nothing that crosses are left out.

    Args:
        turns: Each result comes after its call, each call has one.
    """
    names = {part.call_id: part.name for part in _calls(turns)}
    made = (_message(turn, names) for turn in turns)
    return [message for message in made if message.parts]


def _message(turn: Message, names: Mapping[CallId, str]) -> wire.ModelMessage:
    match turn.role:
        case "user":
            asked = [wire.UserPromptPart(turn.text)] if turn.text else []
            return wire.ModelRequest(parts=asked)
        case "assistant":
            return wire.ModelResponse(parts=list(_said(turn)))
        case "tool":
            return wire.ModelRequest(parts=list(_returned(turn, names)))


def _said(turn: Message) -> Iterator[wire.ModelResponsePart]:
    for part in turn.parts:
        match part:
            case Text(text) if text:
                yield wire.TextPart(text)
            case ToolCall(call_id, name, arguments):
                yield wire.ToolCallPart(_name(name), dict(arguments), _id(call_id))


def _returned(turn: Message, names: Mapping[CallId, str]) -> Iterator[wire.ModelRequestPart]:
    for part in turn.parts:
        if isinstance(part, ToolResult):
            yield wire.ToolReturnPart(
                _name(names.get(part.call_id, "")),
                _text(part.output),
                _id(part.call_id),
                outcome="failed" if part.is_error else "success",
            )


def _text(output: Json) -> str:
    # As text, because the model classes would take some objects for files and fetch them.
    return output if isinstance(output, str) else to_json(output, inf_nan_mode="null").decode()


def _calls(turns: Sequence[Message]) -> Iterator[ToolCall]:
    return (part for turn in turns for part in turn.parts if isinstance(part, ToolCall))


def _name(name: str) -> str:
    """Return a name that every provider takes: models make some up that theirs refuses."""
    return _NOT_IN_A_NAME.sub("_", name)[:_LONGEST_NAME] or "unknown"


def _id(call_id: CallId) -> str:
    """Return an id that every provider takes, the same for the call and its result."""
    if _PORTABLE_ID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.blake2b(call_id.encode(), digest_size=16).hexdigest()}"
