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
        return self._usage(input_bound(request), self.said)

    def usage_in_batch(self, sent_bytes: int, answer: str | None) -> Usage:
        """Return the estimate of an answer out of a batch.

        Args:
            sent_bytes: The size of the question, as its provider was given it.
            answer: As the provider gave it: one that cannot be read was made all the same.
        """
        said = self.said if self.said + self.thought else len((answer or "").encode())
        return self._usage(math.ceil(sent_bytes / BYTES_PER_TOKEN), said)

    def _usage(self, input_tokens: int, said: int) -> Usage:
        thought = math.ceil(self.thought / BYTES_PER_TOKEN)
        output_tokens = math.ceil(said / BYTES_PER_TOKEN) + thought
        return Usage(input_tokens, 0, output_tokens, reasoning_tokens=thought)


def _bytes_of_json(value: object) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return len(text.encode("utf-8", "surrogatepass"))
