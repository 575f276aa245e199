"""Assistants: instructions, options and the tools that a model may ask for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.domain.ids import AssistantId
from backend.domain.json_values import JsonObject
from backend.domain.options import Options, options_from_json

_MOST_OF_A_KIND = 64


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that a model may call."""

    name: str
    description: str
    parameters: JsonObject
    """JSON schema of the arguments."""
    is_strict: bool = False
    """The provider guarantees the schema, as far as it can."""
    is_only_named: bool = False
    """The row says no more than the name: if the service has a function of this name, that is
    meant; if not, it is one of the client's that takes no arguments."""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """An MCP server, by the operator's name for it."""

    name: str
    allowed_tools: tuple[str, ...] | None = None
    """None: all that it has."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """Who answers."""

    id: AssistantId
    name: str
    instructions: str
    tools: tuple[FunctionTool, ...]
    servers: tuple[ToolServer, ...] = ()
    options: Options = field(default_factory=Options)
    is_users: bool = False
    """A user made it; the operator's may use what users' may not."""
    unknown_kinds: frozenset[str] = frozenset()
    """Of tools in its row that this release does not have."""


def assistant_from_json(row: Any) -> Assistant:
    """Return the assistant of a history; tools of kinds unknown to this version are left out."""
    return Assistant(
        id=AssistantId(row["id"]),
        name=row["name"],
        instructions=row["instructions"],
        tools=tuple(_functions(row["tools"])),
        servers=tuple(_servers(row["tools"])),
        options=options_from_json(row.get("options")),
        is_users=row.get("user_id") is not None,
        unknown_kinds=frozenset(_unknown_kinds(row["tools"])),
    )


def _functions(tools: Any) -> Iterator[FunctionTool]:
    for tool in tools:
        match tool:
            case {"type": "function", "function": {"name": str(name)}}:
                more = {key: value for key, value in tool["function"].items() if key != "name"}
                parameters = more.get("parameters") or {"type": "object", "properties": {}}
                said, strict = more.get("description") or "", more.get("strict") is True
                yield FunctionTool(name, said, parameters, strict, is_only_named=not more)


def _unknown_kinds(tools: Any) -> Iterator[str]:
    for tool in tools:
        match tool:
            case {"type": "function" | "mcp"}:
                pass
            case {"type": str(kind)}:
                yield kind[:_MOST_OF_A_KIND]


def _servers(tools: Any) -> Iterator[ToolServer]:
    for tool in tools:
        match tool:
            case {"type": "mcp", "mcp": {"server": str(name)}}:
                allowed = tool["mcp"].get("allowed_tools")
                if allowed is not None:
                    allowed = tuple(it for it in allowed if isinstance(it, str))
                yield ToolServer(name, allowed)
