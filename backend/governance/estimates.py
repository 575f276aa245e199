"""How many tokens there may be, where nobody has counted them.

No well-kept tokenizer works offline, and none is right for all providers. A token is rarely less
than three and a half bytes of UTF-8, whatever the script.
"""

import json
import math

from backend.domain.messages import (
    Citation,
    Document,
    File,
    Image,
    Message,
    Note,
    Part,
    Picture,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from backend.domain.usage import Usage
from backend.ports.models import ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCallMade

_BYTES_PER_TOKEN = 3.5
_PER_MESSAGE = 4
_PER_IMAGE = 1500
_PER_FILE = 4000
_PER_PAGE = 2000


def tokens_of(text: str) -> int:
    """Return a bound for the tokens of a text."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)


def input_bound(request: ModelRequest) -> int:
    """Return a bound for the tokens of all that the model is given."""
    tools = [[it.name, it.description, it.parameters] for it in request.tools]
    asked = tokens_of(request.instructions) + (_tokens_of_json(tools) if tools else 0)
    return asked + sum(_of_message(message) for message in request.messages)


class Heard:
    """Adds up what was heard of an answer, as tokens."""

    def __init__(self) -> None:
        self.said = 0
        self.thought = 0

    def hear(self, event: ModelEvent) -> None:
        """Take in the next event."""
        match event:
            case TextDelta(text):
                self.said += len(text.encode("utf-8", "surrogatepass"))
            case ReasoningDelta(text):
                self.thought += len(text.encode("utf-8", "surrogatepass"))
            case ToolCallMade(call):
                self.said += _bytes_of_json([call.name, call.arguments])
            case _:
                pass

    def usage(self, request: ModelRequest) -> Usage:
        """Return the estimate of a call of which no more was heard."""
        thought = math.ceil(self.thought / _BYTES_PER_TOKEN)
        said = math.ceil(self.said / _BYTES_PER_TOKEN)
        return Usage(
            input_tokens=input_bound(request),
            output_tokens=said + thought,
            reasoning_tokens=thought,
        )


def _of_message(message: Message) -> int:
    return _PER_MESSAGE + sum(_of_part(part) for part in message.parts)


def _of_part(part: Part) -> int:
    match part:
        case Text(text) | Reasoning(text) | Citation(text):
            return tokens_of(text)
        case Image() | Picture():
            return _PER_IMAGE
        case File():
            return _PER_FILE
        case Document():
            return max(tokens_of(part.text), part.pages * _PER_PAGE if part.pdf else 0)
        case Note():
            return tokens_of(part.text)
        case ToolCall(name=name, arguments=arguments):
            return tokens_of(name) + _tokens_of_json(arguments)
        case ToolResult(output=output):
            return tokens_of(output) if isinstance(output, str) else _tokens_of_json(output)


def _tokens_of_json(value: object) -> int:
    return math.ceil(_bytes_of_json(value) / _BYTES_PER_TOKEN)


def _bytes_of_json(value: object) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return len(text.encode("utf-8", "surrogatepass"))
