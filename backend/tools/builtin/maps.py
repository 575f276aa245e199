"""Drawing on the map beside a chat.

The calls are the drawing: a frontend folds those of the visible messages into markers and areas, so
that reloading, editing and going to another branch show the map of that moment. Here is only looked
at whether they can be drawn.
"""

from typing import Annotated, Literal

from pydantic import Field

from backend.domain.json_values import JsonObject
from backend.errors import ToolRefused
from backend.tools.registry import PythonTool, tool

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.:-]+$")]
Label = Annotated[str, Field(max_length=200)]
Coordinate = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Ring = Annotated[list[Point], Field(min_length=3, max_length=500)]
Bounds = Annotated[list[Point], Field(min_length=2, max_length=2)]
Kind = Annotated[str, Field(max_length=32, pattern=r"^[a-z][a-z0-9_-]*$")]
Tone = Literal["neutral", "info", "good", "warning", "danger"]
DRAWN: JsonObject = {"drawn": True}


@tool(open_to_users=True, timeout_s=5)
async def map_set_marker(
    id: Id,  # noqa: A002, ARG001 - the name that frontends know
    label: Label,  # noqa: ARG001
    x: Coordinate,  # noqa: ARG001
    y: Coordinate,  # noqa: ARG001
    kind: Kind = "place",  # noqa: ARG001
) -> JsonObject:
    """Put a marker on the map, or move and rename the one of this id.

    Args:
        id: Yours to choose; the same one changes the same marker later.
        label: What is written beside it.
        x: To the right, in the map's units.
        y: Upwards, in the map's units.
        kind: What it stands for, one lower-case word such as hero, monster or door.
    """
    return DRAWN


@tool(open_to_users=True, timeout_s=5)
async def map_set_area(
    id: Id,  # noqa: A002, ARG001
    label: Label,  # noqa: ARG001
    ring: Ring,  # noqa: ARG001
    tone: Tone = "neutral",  # noqa: ARG001
) -> JsonObject:
    """Draw an area on the map, or change the one of this id.

    Args:
        id: Yours to choose; the same one changes the same area later.
        label: What is written in it.
        ring: Its corners in order, each [x, y]; the last one is joined to the first.
        tone: Its colour.
    """
    return DRAWN


@tool(open_to_users=True, timeout_s=5)
async def map_remove(id: Id) -> JsonObject:  # noqa: A002, ARG001
    """Take a marker or an area off the map.

    Args:
        id: The one that it was drawn with.
    """
    return {"removed": True}


@tool(open_to_users=True, timeout_s=5)
async def map_focus(
    id: Id | None = None,  # noqa: A002
    bounds: Bounds | None = None,
) -> JsonObject:
    """Show a part of the map: either what was drawn with an id, or a rectangle.

    Args:
        id: Of a marker or an area.
        bounds: Two opposite corners, each [x, y].
    """
    if (id is None) == (bounds is None):
        raise ToolRefused("Either id or bounds, one of the two.")
    return {"focused": True}


MAP_TOOLS: tuple[PythonTool, ...] = (map_set_marker, map_set_area, map_remove, map_focus)
