"""Functions that say for how long a result holds are not called again within that time."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from backend.domain.assistants import Assistant, FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.governance.keys import result_key
from backend.governance.shared_work import SharedWork
from backend.ports.caches import Caches, Hit
from backend.ports.clock import Clock
from backend.ports.tools import ServerTool, Toolbox, ToolContext, ToolTraits

Plain: TypeAlias = Callable[[Any], Json]


class FreshTools:
    """A toolbox whose functions remember what they told an asker, where they allow it."""

    def __init__(self, toolbox: Toolbox, caches: Caches, clock: Clock, plain: Plain) -> None:
        """Ready.

        Args:
            toolbox: Whose functions these are.
            caches: Where results are kept.
            clock: Of the waiting for others.
            plain: Makes a result one that can be stored, or raises ValueError; such a one is not
                kept, and given to who has called as it is.
        """
        self._toolbox = toolbox
        self._plain = plain
        self._work = SharedWork("results", caches, clock)

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return them by the name that the model calls them by."""
        tools = await self._toolbox.tools_of(assistant)
        return {
            name: _FreshTool(name, tool, self._work, self._plain)
            if tool.traits.fresh_s > 0
            else tool
            for name, tool in tools.items()
        }


class _FreshTool:
    def __init__(self, name: str, tool: ServerTool, work: SharedWork, plain: Plain) -> None:
        self._name = name
        self._plain = plain
        self._tool = tool
        self._work = work

    @property
    def definition(self) -> FunctionTool:
        return self._tool.definition

    @property
    def traits(self) -> ToolTraits:
        return self._tool.traits

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        boarded = await self._work.board(result_key(self._name, arguments, context.asker))
        if isinstance(boarded, Hit):
            return boarded.value
        try:
            result = await self._tool.call(arguments, context)
            kept = self._stored(result)
        except BaseException:
            # A refusal is no result: whoever waits tries for themselves.
            await self._work.give_up(boarded)
            raise
        if kept is None:
            # Which a cache cannot tell from nothing.
            await self._work.give_up(boarded)
            return result
        owner = f"user:{context.asker.user_id}"
        await self._work.land(boarded, kept, ttl_s=self._tool.traits.fresh_s, owner=owner)
        return kept

    def _stored(self, result: Any) -> Json:
        try:
            return self._plain(result)
        except ValueError:
            # Whoever called says what is wrong with it.
            return None
