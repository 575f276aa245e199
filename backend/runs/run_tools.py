"""The tools of one run: the service's, which it calls itself, and the client's."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.domain.assistants import Assistant, FunctionTool
from backend.ports.tools import ServerTool, Toolbox


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
    return RunTools(server, client)
