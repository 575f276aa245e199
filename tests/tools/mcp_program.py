"""An MCP server by the protocol's own SDK, as a program or as an application."""

import os
import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent, ToolAnnotations


def make() -> MCPServer:
    """Return a server with a few tools."""
    server = MCPServer("mountains")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def measure(name: str, unit: str = "m") -> dict[str, object]:
        """Measure a mountain."""
        return {"name": name, "height": 1141, "unit": unit}

    @server.tool(structured_output=False)
    def describe(name: str) -> str:
        """Describe a mountain."""
        return f"{name} is a mountain. \x00\ud83c"[:-1]

    @server.tool(structured_output=False)
    def show(name: str) -> list[TextContent | ImageContent]:
        """Show a mountain."""
        picture = ImageContent(type="image", data="R0lGODlh", mime_type="image/gif")
        return [TextContent(type="text", text=name), picture]

    @server.tool()
    def climb(name: str) -> str:
        """Climb a mountain."""
        raise ToolError(f"{name} is closed")

    @server.tool()
    def secrets() -> str:
        """Tell what the environment holds."""
        return " ".join(sorted(os.environ))

    @server.tool()
    def die() -> str:
        """End the server."""
        os._exit(1)

    return server


if __name__ == "__main__":
    sys.stderr.write("what this says is nobody's business\n")
    make().run("stdio")
