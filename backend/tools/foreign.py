"""Tools of somebody else, under names and with schemas that every model takes.

One function that a provider refuses makes it refuse the whole request, so what does not fit is left
out here.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import structlog

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.ports.tools import ServerTool, ToolContext, ToolTraits
from backend.telemetry.names import TOOL_LEFT_OUT
from backend.tools import schemas
from backend.tools.outputs import Unusable, plain
from backend.tools.registry import NAME

_log = structlog.get_logger()
_UNUSUAL = re.compile(r"[^a-zA-Z0-9_-]")
_ARGUMENT = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_NOT_AT_THE_TOP = frozenset({"anyOf", "oneOf", "allOf", "not", "enum", "$ref"})


class ForeignTool:
    """A tool under our name for it."""

    def __init__(self, own_name: str, tool: ServerTool, definition: FunctionTool) -> None:
        self.own_name = own_name
        self.definition = definition
        self._tool = tool

    @property
    def traits(self) -> ToolTraits:
        """How it may be treated."""
        return self._tool.traits

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        """Return its result."""
        return await self._tool.call(arguments, context)


def foreign_tools(owner: str, theirs: Mapping[str, ServerTool]) -> Mapping[str, ForeignTool]:
    """Return the usable ones as `<owner>_<name>`, in the order of their names."""
    found: dict[str, ForeignTool] = {}
    for own_name, tool in sorted(theirs.items()):
        definition = _definition(_UNUSUAL.sub("_", f"{owner}_{own_name}"), tool.definition)
        if definition is not None:
            found.setdefault(definition.name, ForeignTool(own_name, tool, definition))
    if left := len(theirs) - len(found):
        _log.warning(TOOL_LEFT_OUT, server=owner, count=left)
    return found


def _definition(name: str, theirs: FunctionTool) -> FunctionTool | None:
    try:
        parameters = cast("dict[str, Any]", plain(theirs.parameters))
        description = str(plain(theirs.description))
        schemas.check(parameters)
    except (Unusable, schemas.SchemaUnusable):
        return None
    arguments = parameters.setdefault("properties", {})
    is_taken = (
        NAME.fullmatch(name)
        and parameters.get("type") == "object"
        and not _NOT_AT_THE_TOP & set(parameters)
        and all(map(_ARGUMENT.fullmatch, arguments))
    )
    return FunctionTool(name, description, parameters, theirs.is_strict) if is_taken else None
