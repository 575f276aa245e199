"""What a server answers, as JSON."""

from typing import TYPE_CHECKING, Any

from backend.domain.json_values import Json
from backend.errors import ToolRefused

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_MOST_OF_ERROR = 2000


def output_of(result: "CallToolResult") -> Json:
    """Return the structured result, else the texts; other kinds are named and not passed on.

    Raises:
        ToolRefused: The tool says that it failed.
    """
    parts = [_part(block) for block in result.content]
    if result.is_error:
        said = "\n".join(part for part in parts if isinstance(part, str))
        raise ToolRefused(said[:_MOST_OF_ERROR] or "The tool says that it failed.")
    if result.structured_content is not None:
        found: Json = result.structured_content
        return found
    return parts[0] if len(parts) == 1 else parts


def _part(block: Any) -> Json:
    match block.type:
        case "text":
            return str(block.text)
        case "resource":
            held = block.resource
            if isinstance(getattr(held, "text", None), str):
                return str(held.text)
            return {"type": "resource", "uri": str(held.uri)}
        case "resource_link":
            return {"type": "resource_link", "uri": str(block.uri), "name": str(block.name)}
        case kind:
            # A model is given text and JSON by its tools; what a picture shows is lost on it.
            return {"type": str(kind), "mime_type": str(getattr(block, "mime_type", ""))}
