"""How many tokens a call took of which nobody told the counts."""

import json
import math

from backend.domain.tokens import bound_of_all, bound_of_frame
from backend.domain.usage import Usage
from backend.ports.models import ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCallMade

BYTES_PER_TOKEN = 3.5


def input_bound(request: ModelRequest) -> int:
    """Return a bound for the tokens of all that the model is given."""
    return bound_of_frame(request.instructions, request.tools) + bound_of_all(request.messages)


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
        thought = math.ceil(self.thought / BYTES_PER_TOKEN)
        said = math.ceil(self.said / BYTES_PER_TOKEN)
        return Usage(
            input_tokens=input_bound(request),
            output_tokens=said + thought,
            reasoning_tokens=thought,
        )


def _bytes_of_json(value: object) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return len(text.encode("utf-8", "surrogatepass"))
