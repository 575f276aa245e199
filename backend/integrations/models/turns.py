"""A conversation of ours into the messages that pydantic-ai's model classes take.

Words, tool calls and tool results cross from provider to provider; what a model thought goes back
to that model alone. Images and files must have been loaded: what is still a reference is left out.
"""

import hashlib
import re
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from pydantic_ai import messages as wire
from pydantic_core import to_json

from backend.domain.ids import CallId
from backend.domain.json_values import Json
from backend.domain.messages import Message, Text, ToolCall, ToolResult
from backend.integrations.models.contents import content_of
from backend.integrations.models.kept import Memory

_Fit: TypeAlias = Callable[[CallId], str]
_BEGINNING = "[The conversation begins with your words.]"
_LONGEST_NAME = 64
_PORTABLE_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def model_messages(
    turns: Sequence[Message],
    call_id_length: int | None = None,
    memory: Memory | None = None,
    *,
    reads_pdf: bool = False,
    user_begins: bool = False,
) -> list[wire.ModelMessage]:
    """Return the conversation; turns with nothing that crosses are left out.

    Args:
        turns: Each result comes after its call, each call has one.
        call_id_length: Of the ids of calls, where the provider takes no other.
        memory: Of the model that is asked.
        reads_pdf: It is given documents as they are.
        user_begins: It refuses a conversation that begins otherwise.
    """
    names = {part.call_id: part.name for part in _calls(turns)}
    fit = partial(_id, length=call_id_length)
    made: list[wire.ModelMessage] = []
    for turn in turns:
        match turn.role:
            case "user":
                made.append(_asked(turn, reads_pdf=reads_pdf))
            case "assistant":
                made.append(_answered(turn, fit, memory))
            case "tool":
                made.append(wire.ModelRequest(parts=list(_returned(turn, names, fit))))
    told = [message for message in made if message.parts]
    if user_begins and told and isinstance(told[0], wire.ModelResponse):
        told.insert(0, wire.ModelRequest(parts=[wire.UserPromptPart(_BEGINNING)]))
    return told


def _asked(turn: Message, *, reads_pdf: bool) -> wire.ModelRequest:
    content = content_of(turn, reads_pdf=reads_pdf)
    return wire.ModelRequest(parts=[wire.UserPromptPart(content)] if content else [])


def _answered(turn: Message, fit: _Fit, memory: Memory | None) -> wire.ModelResponse:
    shown = memory and memory.replay(turn, partial(_call, fit=fit))
    # The provider's name says that its own items may go back under their ids.
    system = memory.system if memory and shown else None
    return wire.ModelResponse(parts=shown or list(_said(turn, fit)), provider_name=system)


def _call(call: ToolCall, *, fit: _Fit) -> wire.ToolCallPart:
    return wire.ToolCallPart(_name(call.name), dict(call.arguments), fit(call.call_id))


def _said(turn: Message, fit: _Fit) -> Iterator[wire.ModelResponsePart]:
    for part in turn.parts:
        match part:
            # Some providers refuse a conversation in which a model said nothing but a line's end.
            case Text(text) if text.strip():
                yield wire.TextPart(text)
            case ToolCall():
                yield _call(part, fit=fit)


def _returned(
    turn: Message, names: Mapping[CallId, str], fit: _Fit
) -> Iterator[wire.ModelRequestPart]:
    for part in turn.parts:
        if isinstance(part, ToolResult):
            yield wire.ToolReturnPart(
                _name(names.get(part.call_id, "")),
                _text(part.output),
                fit(part.call_id),
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


def _id(call_id: CallId, *, length: int | None) -> str:
    """Return an id that the provider takes, the same for the call and its result."""
    digest = hashlib.blake2b(call_id.encode(), digest_size=16)
    if length is not None:
        fits = len(call_id) == length and call_id.isascii() and call_id.isalnum()
        return call_id if fits else b32encode(digest.digest()).decode()[:length]
    return call_id if _PORTABLE_ID.fullmatch(call_id) else f"call_{digest.hexdigest()}"
