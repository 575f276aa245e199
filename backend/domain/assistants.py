"""Assistants: instructions and the tools that a model may ask for."""

from dataclasses import dataclass
from typing import Any

from backend.domain.ids import AssistantId
from backend.domain.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that the client runs: the run waits for its output."""

    name: str
    description: str
    parameters: JsonObject
    """JSON schema of the arguments."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """Who answers."""

    id: AssistantId
    name: str
    instructions: str
    tools: tuple[FunctionTool, ...]


def assistant_from_json(row: Any) -> Assistant:
    """Return the assistant of a history; of its tools those that the client runs."""
    tools = (_function_from_json(tool) for tool in row["tools"])
    return Assistant(
        id=AssistantId(row["id"]),
        name=row["name"],
        instructions=row["instructions"],
        tools=tuple(tool for tool in tools if tool is not None),
    )


def _function_from_json(tool: Any) -> FunctionTool | None:
    match tool:
        case {"type": "function", "function": {"name": str(name)}}:
            fields = tool["function"]
        case _:
            return None
    parameters = fields.get("parameters") or {"type": "object", "properties": {}}
    return FunctionTool(name, fields.get("description") or "", parameters)
