"""The conversation of one run while it grows, and the numbering of its rounds."""

from collections.abc import Iterable, Sequence

from backend.domain.ids import CallId
from backend.domain.json_values import Json, JsonObject
from backend.domain.messages import Message, Text, ToolCall, ToolResult
from backend.domain.runs import History
from backend.domain.usage import Usage
from backend.ports.clock import Clock
from backend.runs.history import conversation, rounds


class Turns:
    """The conversation and the numbering of this run's rounds."""

    def __init__(self, messages: list[Message], *, next_position: int, rounds: int) -> None:
        self.messages = messages
        self.rounds = rounds
        self._next_position = next_position
        self._used = {
            part.call_id for turn in messages for part in turn.parts if isinstance(part, ToolCall)
        }

    def with_new_ids(self, calls: Iterable[ToolCall], clock: Clock) -> list[ToolCall]:
        """Return the calls, each with an id that no other call of the conversation has."""
        return [self._unique(call, clock) for call in calls]

    def steps(
        self, calls: Sequence[ToolCall], known: set[str], ordinal: int, usage: Usage
    ) -> list[JsonObject]:
        """Return one round of calls as steps; the first one keeps what the round cost.

        Args:
            calls: In the model's order.
            known: Names that the client serves; the others are answered with an error at once.
            ordinal: How many texts the run has said before these calls.
            usage: Tokens of this round.
        """
        self.rounds += 1
        made: list[JsonObject] = []
        for call in calls:
            data: dict[str, Json] = {
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
                "round": self.rounds,
                "ordinal": ordinal,
            }
            if not made:
                data["usage"] = usage.as_json()
            if call.name not in known:
                data["output"] = unknown_tool(call.name)
            made.append(
                {
                    "position": self._next_position,
                    "type": "tool_call",
                    "status": "requires_action" if call.name in known else "completed",
                    "data": data,
                }
            )
            self._next_position += 1
        return made

    def add(self, text: str, calls: Sequence[ToolCall]) -> None:
        """The model sees its own calls and that none of these tools exists."""
        said = (Text(text),) if text else ()
        results = (ToolResult(it.call_id, unknown_tool(it.name), is_error=True) for it in calls)
        self.messages.append(Message("assistant", (*said, *calls)))
        self.messages.append(Message("tool", tuple(results)))

    def _unique(self, call: ToolCall, clock: Clock) -> ToolCall:
        if not call.call_id or call.call_id in self._used:
            call = ToolCall(CallId(f"call_{clock.new_id()}"), call.name, call.arguments)
        self._used.add(call.call_id)
        return call


def unknown_tool(name: str) -> JsonObject:
    """Return what the model is told about a tool that it made up."""
    return {"error": "unknown_tool", "message": f"There is no tool named {name}."}


def turns_of(history: History) -> Turns:
    """Return the conversation as the rows have it."""
    return Turns(
        conversation(history),
        next_position=max((step.position for step in history.steps), default=-1) + 1,
        rounds=rounds(history.steps),
    )
