"""Functions that the service runs itself when a model calls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backend.domain.asker import Asker
from backend.domain.assistants import Assistant, FunctionTool
from backend.domain.ids import RunId, SessionId
from backend.domain.json_values import Json, JsonObject


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom, and as part of what, a tool is called."""

    run_id: RunId
    session_id: SessionId
    asker: Asker
    idempotency_key: str
    """The same for each try of one call, also by another worker after a crash."""


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """How a tool may be treated."""

    timeout_s: float = 30.0
    """Of one try."""
    attempts: int = 1
    """How often it is tried within one call where a failure may pass."""
    is_repeatable: bool = True
    """A call that a crash interrupted is made again, under the same key. Where False, the model is
    told that nobody knows whether it took effect."""
    fresh_s: float = 0.0
    """For how long an equal call of the same asker may be given the same result."""


class ServerTool(Protocol):
    """One function."""

    @property
    def definition(self) -> FunctionTool:
        """What the model is told of it."""
        ...

    @property
    def traits(self) -> ToolTraits:
        """How it may be treated."""
        ...

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        """Return its result; the arguments fit the schema.

        Raises:
            ToolRefused: It will not do that; the message is for the model.
            ToolUnavailable: It may work later.
        """
        ...


class Toolbox(Protocol):
    """Knows which of the service's functions an assistant may use."""

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return them by the name that the model calls them by.

        A function that the row merely names, and that is not among them, is the client's.
        """
        ...


class ToolSource(Protocol):
    """Tools that somebody else has, such as an MCP server's."""

    async def tools(self) -> Mapping[str, ServerTool]:
        """Return them by their owner's names for them.

        Raises:
            ToolUnavailable: They cannot be had now.
        """
        ...


class NoTools:
    """A toolbox with nothing in it."""

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return none."""
        del assistant
        return {}
