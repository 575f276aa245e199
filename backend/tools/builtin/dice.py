"""Dice."""

from typing import Annotated

from pydantic import Field

from backend.domain.json_values import JsonObject
from backend.ports.clock import Clock
from backend.tools.registry import PythonTool, tool

Sides = Annotated[int, Field(ge=2, le=1000)]
Count = Annotated[int, Field(ge=1, le=100)]
Modifier = Annotated[int, Field(ge=-1000, le=1000)]


def dice(clock: Clock) -> PythonTool:
    """Return `roll_dice`."""

    @tool(open_to_users=True, timeout_s=5)
    async def roll_dice(sides: Sides = 6, count: Count = 1, modifier: Modifier = 0) -> JsonObject:
        """Roll dice and get each result and their total.

        Args:
            sides: Of each die: 20 for a d20.
            count: How many dice: 3 for 3d6.
            modifier: Added to the total.
        """
        rolls = [int(clock.random() * sides) + 1 for _ in range(count)]
        return {"rolls": rolls, "modifier": modifier, "total": sum(rolls) + modifier}

    return roll_dice
