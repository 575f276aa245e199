"""Servers of MCP and their tools, and a peer that speaks the protocol as a test says."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backend.integrations.mcp.servers import AsProgram, AtAddress, Server
from backend.integrations.mcp.source import McpTools
from backend.integrations.web.connections import open_client
from backend.integrations.web.reach import reach_of
from backend.ports.clock import SystemClock
from backend.ports.tools import ServerTool
from backend.tools.invocation import ToolOutcome
from tests.tools.calling import call
from tests.tools.web_server import Asked, WebServer, response

ROOT = Path(__file__).parents[2]


def at(url: str, **headers: str) -> AtAddress:
    entry = url.split("/")[2]
    reach = reach_of([entry], [entry])
    return AtAddress(url, lambda: open_client(reach, max_bytes=1_000_000), lambda: headers)


@asynccontextmanager
async def tools_of(way: AtAddress | AsProgram, **more: Any) -> AsyncIterator[McpTools]:
    made = McpTools(Server("mountains", way, **more), SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def ask(tool: ServerTool, **arguments: Any) -> ToolOutcome:
    return await call(tool, SystemClock(), **arguments)


class Peer:
    """Speaks the protocol as it is told, over real HTTP."""

    def __init__(self, server: WebServer, *tools: dict[str, Any]) -> None:
        self.sessions: set[str] = set()
        self.methods: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._count = 0
        self.answers: dict[str, Callable[[Any], Any]] = {
            "initialize": lambda _: {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "peer", "version": "1"},
            },
            "tools/list": lambda _: {"tools": list(tools) or [tool("it")]},
            "tools/call": lambda _: {"content": [{"type": "text", "text": "done"}]},
        }
        server.will_do("/mcp", self.answer)

    def answer(self, asked: Asked) -> bytes | None:  # noqa: PLR0911 - the protocol has its cases
        self.headers.append(asked.headers)
        if asked.method != "POST":
            return response(b"", "405 No")
        message = json.loads(asked.body)
        method = message["method"]
        self.methods.append(method)
        if "id" not in message:
            return response(b"", "202 Accepted")
        if method == "initialize":
            self._count += 1
            self.sessions.add(str(self._count))
        elif (
            method != "server/discover" and asked.headers.get("mcp-session-id") not in self.sessions
        ):
            return response({}, "404 Gone")
        act = self.answers.get(method)
        if act is None:
            return response(_error(message, -32601, "Method not found"))
        made = act(message.get("params"))
        if made is None or isinstance(made, bytes):
            return made
        if "code" in made:
            return response(_error(message, made["code"], made["message"]))
        told = {"jsonrpc": "2.0", "id": message["id"], "result": made}
        return response(told, mcp_session_id=str(self._count))


def _error(message: Any, code: int, said: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": said}}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}
