"""What the tests ask a provider, and how they listen."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import fields as dataclass_fields
from typing import Any

from backend.domain.assistants import FunctionTool
from backend.domain.messages import Message, Part, Text
from backend.domain.options import Options
from backend.ports.models import LLMProvider, ModelEvent, ModelRequest, TextDelta

MODEL = "gpt-test"
DICE = FunctionTool(
    "roll_dice",
    "Rolls dice.",
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": "Dice",
        "properties": {
            "sides": {"oneOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]},
            "label": {"type": "string", "maxLength": 20},
        },
    },
)
COIN = FunctionTool("flip_coin", "Flips a coin.", {"type": "object", "properties": {}})


def said(role: Any, *parts: Part | str) -> Message:
    """Return a turn; plain strings are its words."""
    return Message(role, tuple(Text(it) if isinstance(it, str) else it for it in parts))


def ask(*turns: str | Message, model: str = MODEL, **fields: Any) -> ModelRequest:
    """Return a request; plain strings are the user's."""
    messages = [said("user", it) if isinstance(it, str) else it for it in turns]
    return ModelRequest(model, messages, options=options_among(fields), **fields)


def options_among(fields: dict[str, Any]) -> Options:
    """Return the options among the fields, and take them out."""
    names = {it.name for it in dataclass_fields(Options)}
    return Options(**{name: fields.pop(name) for name in list(fields) if name in names})


async def heard(provider: LLMProvider, request: ModelRequest) -> list[ModelEvent]:
    """Return all events of the answer."""
    async with aclosing(provider.stream(request)) as stream:
        return [event async for event in stream]


async def heard_until_raised(
    provider: LLMProvider, request: ModelRequest
) -> tuple[list[ModelEvent], Exception]:
    """Return the events before the stream raised, and what it raised."""
    events: list[ModelEvent] = []
    try:
        async with aclosing(provider.stream(request)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - those before the error count
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return events, error
    raise AssertionError(f"Nothing was raised; heard {events}.")


def text_of(events: Sequence[ModelEvent]) -> str:
    """Return the words of an answer."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))
