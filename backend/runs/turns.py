"""The conversation of one run while it grows, and its rounds of tool calls."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic_core import to_json

from backend.domain.ids import CallId
from backend.domain.json_values import Json, JsonObject
from backend.domain.messages import Message, Text, ToolCall
from backend.domain.runs import History, Step
from backend.ports.clock import Clock
from backend.ports.models import ModelReply
from backend.runs.history import conversation, rounds
from backend.tools.outputs import Unusable, plain

_MOST_CALLS = 64
"""At once; the model hears nothing of further ones, and may make them later."""
_MOST_OUTPUT_BYTES = 8 * 1024 * 1024
"""Of all calls of one run."""


class Turns:
    """What the run was asked, and what it has said and called since."""

    def __init__(self, history: History) -> None:
        """As the rows have it: what an earlier attempt began is open."""
        self._history = history
        self._steps = {step.position: step for step in history.steps}
        outputs = [step.data.get("output") for step in history.steps]
        self._output_bytes = len(to_json(outputs, inf_nan_mode="null"))
        self._interrupted = {step.position for step in self.open}

    @property
    def messages(self) -> list[Message]:
        """What the model is given."""
        return conversation(replace(self._history, steps=tuple(self._steps.values())))

    @property
    def rounds(self) -> int:
        """How often the run has asked for tools."""
        return rounds(self._steps.values())

    @property
    def open(self) -> list[Step]:
        """The calls that have no result yet, in the model's order."""
        return [step for step in self._steps.values() if "output" not in step.data]

    def was_interrupted(self, step: Step) -> bool:
        """Whether an earlier attempt began the call, and nobody knows how far it came."""
        return step.position in self._interrupted

    def begin(self, reply: ModelReply, clock: Clock, *, ordinal: int) -> list[Step]:
        """Return the round's calls as open steps.

        Args:
            reply: Its text is said, its calls are to be made.
            clock: Gives an id to each call whose own is missing or used.
            ordinal: How many texts the run has said before these calls.
        """
        if reply.text:
            said = Message("assistant", (Text(reply.text),))
            self._history = replace(self._history, said=(*self._history.said, said))
        calls = [_storable(call) for call in reply.calls[:_MOST_CALLS]]
        begun = self._steps_of(reply, self._with_new_ids(calls, clock), ordinal)
        self._steps |= {step.position: step for step in begun}
        return begun

    def settle(self, step: Step, output: Json, *, is_error: bool) -> Step:
        """Return the step with the result of its call, which the model will see."""
        output, is_error = self._within_bounds(output, is_error=is_error)
        status = "failed" if is_error else "completed"
        done = Step(step.position, status, {**step.data, "output": output})
        self._steps[step.position] = done
        return done

    def _within_bounds(self, output: Json, *, is_error: bool) -> tuple[Json, bool]:
        self._output_bytes += len(to_json(output, inf_nan_mode="null"))
        if self._output_bytes <= _MOST_OUTPUT_BYTES:
            return output, is_error
        said = "The tools of this answer have said too much already."
        return {"error": "too_much_output", "message": said}, True

    def _steps_of(self, reply: ModelReply, calls: Sequence[ToolCall], ordinal: int) -> list[Step]:
        first, place = (
            max(self._steps, default=-1) + 1,
            {"round": self.rounds + 1, "ordinal": ordinal},
        )
        begun = [
            Step(position, "in_progress", {**_call(call), **place})
            for position, call in enumerate(calls, start=first)
        ]
        # What belongs to the round as a whole stands in its first step.
        whole = {"usage": reply.usage.as_json(), "model": reply.model, "kept": reply.kept}
        begun[0] = replace(begun[0], data={**begun[0].data, **whole})
        return begun

    def _with_new_ids(self, calls: Sequence[ToolCall], clock: Clock) -> list[ToolCall]:
        said = (part for turn in self.messages for part in turn.parts)
        used = {part.call_id for part in said if isinstance(part, ToolCall)}
        fresh: list[ToolCall] = []
        for call in calls:
            is_new = call.call_id and call.call_id not in used
            kept = call if is_new else replace(call, call_id=CallId(f"call_{clock.new_id()}"))
            used.add(kept.call_id)
            fresh.append(kept)
        return fresh


def _storable(call: ToolCall) -> ToolCall:
    """Return the call with arguments that a row holds; of others, the tool says what is wrong."""
    try:
        return ToolCall(call.call_id, call.name, _object(plain(dict(call.arguments))))
    except Unusable:
        return replace(call, arguments={})


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _call(call: ToolCall) -> dict[str, Json]:
    return {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
