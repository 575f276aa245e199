"""Which of all tools an assistant may use."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from backend.domain.assistants import Assistant, FunctionTool, ToolServer
from backend.domain.json_values import Json, JsonObject
from backend.errors import ToolUnavailable
from backend.ports.tools import ServerTool, ToolContext, ToolSource, ToolTraits
from backend.telemetry.names import TOOL_LEFT_OUT, TOOLS_UNREACHABLE
from backend.tools.registry import NAME

_log = structlog.get_logger()
_UNUSUAL = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_OF_A_SERVER = 128


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that rows may name."""

    tool: ServerTool
    open_to_users: bool = False
    """Assistants that users made may use it, too."""


@dataclass(frozen=True, slots=True)
class OfferedServer:
    """A server that rows may name."""

    source: ToolSource
    open_to_users: bool = False
    is_optional: bool = False
    """An assistant does without it while it cannot be reached."""


class OfferedTools:
    """The operator's tools; a row says which of them it uses."""

    def __init__(
        self, functions: Iterable[Offered], servers: Mapping[str, OfferedServer] | None = None
    ) -> None:
        """Ready.

        Args:
            functions: Of two of one name the later one counts.
            servers: By the operator's name for each.
        """
        self._functions = {it.tool.definition.name: it for it in functions}
        self._servers = servers or {}

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return them by the name that the model calls them by.

        Raises:
            ToolUnavailable: A server that is not optional does not say what it has.
        """
        found: dict[str, ServerTool] = {}
        for named in assistant.tools:
            offered = self._functions.get(named.name)
            if named.is_only_named and offered and _may(assistant, offered):
                found[named.name] = offered.tool
        taken = {named.name for named in assistant.tools}
        for wanted in assistant.servers:
            for name, tool in (await self._of_server(assistant, wanted)).items():
                if name not in taken and name not in found:
                    found[name] = tool
        return found

    async def _of_server(
        self, assistant: Assistant, wanted: ToolServer
    ) -> Mapping[str, ServerTool]:
        server = self._servers.get(wanted.name)
        if server is None or not _may(assistant, server):
            _log.warning(TOOL_LEFT_OUT, server=wanted.name, assistant_id=assistant.id)
            return {}
        try:
            theirs = await server.source.tools()
        except ToolUnavailable:
            _log.warning(TOOLS_UNREACHABLE, server=wanted.name)
            if server.is_optional:
                return {}
            raise
        allowed = wanted.allowed_tools
        kept = {name: it for name, it in theirs.items() if allowed is None or name in allowed}
        return _renamed(wanted.name, kept)


def _may(assistant: Assistant, offered: Offered | OfferedServer) -> bool:
    return offered.open_to_users or not assistant.is_users


def _renamed(server: str, theirs: Mapping[str, ServerTool]) -> Mapping[str, ServerTool]:
    found: dict[str, ServerTool] = {}
    for own, tool in sorted(theirs.items()):
        name = _UNUSUAL.sub("_", f"{server}_{own}")
        if name in found or not NAME.fullmatch(name) or len(found) == _MOST_OF_A_SERVER:
            continue
        found[name] = _Renamed(tool, name)
    if left := len(theirs) - len(found):
        _log.warning(TOOL_LEFT_OUT, server=server, count=left)
    return found


class _Renamed:
    """A tool under another name."""

    def __init__(self, tool: ServerTool, name: str) -> None:
        self._tool = tool
        of = tool.definition
        self.definition = FunctionTool(name, of.description, of.parameters, of.is_strict)

    @property
    def traits(self) -> ToolTraits:
        return self._tool.traits

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        return await self._tool.call(arguments, context)
