"""How many tokens a question will take, before anybody has counted them."""

import json
import math

from backend.domain.messages import Citation, Message, Reasoning, Text, ToolCall, ToolResult
from backend.ports.models import ModelRequest

# English has about four characters to a token, JSON and other languages fewer.
_CHARS_PER_TOKEN = 3.5
_OF_TURN = 4
_OF_MEDIUM = 1000


def expected_tokens(request: ModelRequest) -> int:
    """Return about how many tokens the provider will count of what is sent."""
    chars = len(request.instructions) + sum(map(_chars, request.messages))
    chars += sum(
        len(it.name) + len(it.description) + len(json.dumps(it.parameters)) for it in request.tools
    )
    return math.ceil(chars / _CHARS_PER_TOKEN) + _OF_TURN * len(request.messages)


def _chars(message: Message) -> int:
    return sum(map(_chars_of_part, message.parts))


def _chars_of_part(part: object) -> int:
    match part:
        case Text(text=text) | Reasoning(text=text) | Citation(text=text):
            return len(text)
        case ToolCall():
            return len(part.name) + len(json.dumps(part.arguments))
        case ToolResult():
            return len(json.dumps(part.output))
        case _:
            return int(_OF_MEDIUM * _CHARS_PER_TOKEN)
