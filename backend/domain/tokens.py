"""How many tokens something is at most, found out without asking anybody."""

import math
from collections.abc import Iterable, Sequence

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import Json
from backend.domain.messages import (
    Document,
    Image,
    Message,
    Note,
    Part,
    Picture,
    Text,
    ToolCall,
    ToolResult,
)

_CHARS_PER_TOKEN = 3.5
_TOKENS_PER_FURTHER_BYTE = 0.6
"""So that a Chinese character counts one and a half, an emoji two, an é not quite one."""
_OF_A_TURN = 8
_OF_A_PICTURE = 2_500
_OF_A_PAGE = 1_600
"""Beside its text: models are shown the page, too."""


def bound_of_text(text: str) -> int:
    """Return an upper estimate; English and code are under it by a tenth or more."""
    further = len(text.encode("utf-8", "surrogatepass")) - len(text)
    return math.ceil(len(text) / _CHARS_PER_TOKEN + further * _TOKENS_PER_FURTHER_BYTE)


def bound_of(message: Message) -> int:
    """Return an upper estimate of a turn, whoever is asked."""
    thought = _bound_of_json(message.kept) if message.kept else 0
    return _OF_A_TURN + thought + sum(map(_bound_of_part, message.parts))


def bound_of_all(messages: Iterable[Message]) -> int:
    """Return an upper estimate of a conversation."""
    return sum(map(bound_of, messages))


def bound_of_frame(instructions: str, tools: Sequence[FunctionTool]) -> int:
    """Return an upper estimate of what stands before each conversation."""
    told = sum(
        _OF_A_TURN + bound_of_text(it.name + it.description) + _bound_of_json(it.parameters)
        for it in tools
    )
    return bound_of_text(instructions) + told


def _bound_of_part(part: Part) -> int:
    match part:
        case Text(text) | Note(text):
            return bound_of_text(text)
        case ToolCall(call_id, name, arguments):
            return bound_of_text(f"{call_id}{name}") + _bound_of_json(arguments)
        case ToolResult(call_id, output):
            return bound_of_text(call_id) + _bound_of_json(output)
        case Picture() | Image():
            return _OF_A_PICTURE
        case Document():
            pages = part.pages * _OF_A_PAGE if part.pdf else 0
            return bound_of_text(part.name + part.text) + pages
        case _:
            return 0


def _bound_of_json(value: Json) -> int:
    return bound_of_text(value if isinstance(value, str) else str(value))
