"""The tools of one run: the service's, which it calls itself, and the client's."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from backend.domain.assistants import Assistant, FunctionTool
from backend.ports.tools import ServerTool, Toolbox
from backend.telemetry.names import TOOL_LEFT_OUT
from backend.tools.schemas import is_schema

_log = structlog.get_logger()
_NO_SCHEMA = "the row's parameters of it are no JSON schema of an object"
# After so many assistants it begins anew, and tells some of them twice.
_MOST_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class RunTools:
    """Who makes which call."""

    server: Mapping[str, ServerTool]
    client: Mapping[str, FunctionTool]

    @property
    def definitions(self) -> tuple[FunctionTool, ...]:
        """What the model is told; always in the same order, so that its provider may cache it."""
        told = {**self.client, **{name: tool.definition for name, tool in self.server.items()}}
        return tuple(told[name] for name in sorted(told))


async def run_tools(assistant: Assistant, toolbox: Toolbox) -> RunTools:
    """Return the assistant's tools."""
    server = await toolbox.tools_of(assistant)
    client = {tool.name: tool for tool in assistant.tools if tool.name not in server}
    wrong = [name for name, tool in client.items() if not _can_be_told(tool)]
    if wrong:
        # One of them would make the model's provider refuse the whole request.
        _log.warning(TOOL_LEFT_OUT, assistant_id=assistant.id, tools=wrong, why=_NO_SCHEMA)
    return RunTools(server, {name: it for name, it in client.items() if name not in wrong})


def _can_be_told(tool: FunctionTool) -> bool:
    # Rows of earlier releases may hold anything.
    told = tool.parameters
    return isinstance(told, dict) and told.get("type", "object") == "object" and is_schema(told)


class LeftOut:
    """Tells of tools that this release does not have, once for each assistant."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._told: set[str] = set()

    def tell(self, assistant: Assistant) -> None:
        """The log has said which kinds of tools the assistant does without."""
        if assistant.unknown_kinds and assistant.id not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add(assistant.id)
            kinds = sorted(assistant.unknown_kinds)
            _log.warning(TOOL_LEFT_OUT, assistant_id=assistant.id, kinds=kinds)
