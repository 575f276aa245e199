"""What `assistants tools` says."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.app.tools import open_toolbox
from backend.domain.json_values import JsonObject
from backend.errors import DatabaseUnavailable
from backend.ports.clock import SystemClock
from backend.ports.gateway import SERVICE, Identity
from backend.tool_settings import ToolSettings
from backend.tools.toolbox import Offered, Unavailable

_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Listed:
    """One function, or a server that does not say what it has."""

    name: str
    open_to_users: bool = False
    description: str = ""
    parameters: JsonObject | None = None
    why_not: str = ""

    def __str__(self) -> str:
        if self.why_not:
            return f"FAIL  {self.name:{_WIDTH}} {self.why_not}"
        whose = "users" if self.open_to_users else "yours"
        first, *_ = self.description.partition("\n")
        return f"{whose} {self.name:{_WIDTH}} {first}".rstrip()

    def as_json(self) -> JsonObject:
        """Return all of it."""
        if self.why_not:
            return {"name": self.name, "error": self.why_not}
        return {
            "name": self.name,
            "open_to_users": self.open_to_users,
            "description": self.description,
            "parameters": self.parameters,
        }


def list_tools(settings: ToolSettings) -> list[Listed]:
    """Return the functions that there are, by name.

    Raises:
        SettingsInvalid: The tools file, a document or a module is wrong.
    """
    return asyncio.run(_list(settings))


async def _list(settings: ToolSettings) -> list[Listed]:
    async with open_toolbox(settings, NoDatabase(), SystemClock()) as toolbox:
        found = await toolbox.everything()
    return [_listed(name, found[name]) for name in sorted(found)]


def _listed(name: str, found: Offered | Unavailable) -> Listed:
    if isinstance(found, Unavailable):
        return Listed(name, why_not=found.why)
    told = found.tool.definition
    return Listed(name, found.open_to_users, told.description, told.parameters)


class NoDatabase:
    """Who lists functions calls none."""

    async def call(
        self, function: str, arguments: Mapping[str, Any], *, identity: Identity = SERVICE
    ) -> Any:
        """Raise DatabaseUnavailable."""
        del arguments, identity
        raise DatabaseUnavailable(f"{function}: there is no database here.")
