"""The tools of one server."""

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backend.domain.assistants import FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.errors import ToolRefused, ToolUnavailable
from backend.integrations.mcp.connection import Connection
from backend.integrations.mcp.results import output_of
from backend.integrations.mcp.servers import Server
from backend.ports.clock import Clock
from backend.ports.tools import ServerTool, ToolContext, ToolTraits

if TYPE_CHECKING:
    from mcp_types import Tool

_FRESH_S = 300.0
_RETRY_S = 10.0
_LIST_S = 15.0
_MOST_PAGES = 20
_MOST_TOOLS = 500
_MOST_WORDS = 1024
_MOST_OF_SCHEMA = 32_768
# So that a call ends by the server's time, which is told apart from a run that was stopped.
_GRACE_S = 2.0


class McpTools:
    """A ToolSource of a server; its list is asked for again now and then, and when it changes."""

    def __init__(self, server: Server, clock: Clock) -> None:
        """Nothing is connected yet."""
        self._server = server
        self._clock = clock
        self._connection = Connection(server, clock, self._forget)
        self._listing = asyncio.Lock()
        self._known: Mapping[str, ServerTool] | None = None
        self._look_again_at = 0.0

    async def tools(self) -> Mapping[str, ServerTool]:
        """Return them by the server's names; the last list while the server does not answer.

        Raises:
            ToolUnavailable: There is no list yet.
        """
        async with self._listing:
            if self._clock.monotonic() >= self._look_again_at:
                await self._look()
        if self._known is None:
            raise ToolUnavailable("The server does not say which tools it has.")
        return self._known

    async def close(self) -> None:
        """The connection has ended."""
        await self._connection.close()

    async def _look(self) -> None:
        # Set before, as the server may say meanwhile that the list has changed.
        self._look_again_at = self._clock.monotonic() + _FRESH_S
        try:
            self._known = await self._listed()
        except (ToolUnavailable, ToolRefused):
            self._look_again_at = self._clock.monotonic() + _RETRY_S

    async def _listed(self) -> Mapping[str, ServerTool]:
        from mcp_types import (  # noqa: PLC0415 - a second, and 30 MB
            ListToolsRequest,
            ListToolsResult,
            PaginatedRequestParams,
        )

        found: dict[str, ServerTool] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            asked = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
            page = await self._connection.ask(asked, ListToolsResult, _LIST_S)
            for tool in page.tools:
                if len(found) < _MOST_TOOLS and self._is_wanted(tool):
                    found[tool.name] = McpTool(self._server, tool, self._connection)
            cursor = page.next_cursor
            if cursor is None or len(found) == _MOST_TOOLS:
                break
        return found

    def _is_wanted(self, tool: "Tool") -> bool:
        allowed = self._server.tools
        return is_small(tool.input_schema) and (allowed is None or tool.name in allowed)

    def _forget(self) -> None:
        # At once, but not without an end: a server may say it all the time.
        soon = self._clock.monotonic() + _RETRY_S
        self._look_again_at = min(self._look_again_at, soon)


def is_small(schema: JsonObject) -> bool:
    """Whether it is one that a model can be given."""
    try:
        return len(json.dumps(schema)) <= _MOST_OF_SCHEMA
    except (RecursionError, ValueError):
        # Nested more deeply than anybody can look at it.
        return False


class McpTool:
    """One of them."""

    def __init__(self, server: Server, tool: "Tool", connection: Connection) -> None:
        """Ready."""
        self._name = tool.name
        self._timeout_s = server.timeout_s
        self._connection = connection
        said = (tool.description or tool.title or "")[:_MOST_WORDS]
        self.definition = FunctionTool(tool.name, said, tool.input_schema)
        hints = tool.annotations
        repeatable = bool(hints and (hints.read_only_hint or hints.idempotent_hint))
        attempts = server.attempts if repeatable else 1
        self.traits = ToolTraits(server.timeout_s + _GRACE_S, attempts, is_repeatable=repeatable)

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        """Return what the server answers.

        Raises:
            ToolRefused: It says no, or that the tool failed.
            ToolUnavailable: It does not answer.
        """
        from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult  # noqa: PLC0415

        meta: Any = {"io.supa-assistants/idempotency-key": context.idempotency_key}
        params = CallToolRequestParams(name=self._name, arguments=dict(arguments), _meta=meta)
        # Not by the session's own method, which matches the answer against the server's own
        # schema, with patterns that can be made to take forever.
        asked = CallToolRequest(params=params)
        answer = await self._connection.ask(asked, CallToolResult, self._timeout_s)
        return output_of(answer)
