"""Functions that say for how long a result holds are not called again within that time."""

from collections.abc import Mapping

from backend.domain.assistants import Assistant, FunctionTool
from backend.domain.json_values import Json, JsonObject
from backend.governance.keys import result_key
from backend.governance.shared_work import SharedWork
from backend.ports.caches import Caches, Hit
from backend.ports.clock import Clock
from backend.ports.tools import ServerTool, Toolbox, ToolContext, ToolTraits


class FreshTools:
    """A toolbox whose functions remember what they told an asker, where they allow it."""

    def __init__(self, toolbox: Toolbox, caches: Caches, clock: Clock) -> None:
        """Ready.

        Args:
            toolbox: Whose functions these are.
            caches: Where results are kept.
            clock: Of the waiting for others.
        """
        self._toolbox = toolbox
        self._work = SharedWork("results", caches, clock)

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        """Return them by the name that the model calls them by."""
        tools = await self._toolbox.tools_of(assistant)
        return {
            name: _FreshTool(name, tool, self._work) if tool.traits.fresh_s > 0 else tool
            for name, tool in tools.items()
        }


class _FreshTool:
    def __init__(self, name: str, tool: ServerTool, work: SharedWork) -> None:
        self._name = name
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
        except BaseException:
            # A refusal is no result: whoever waits tries for themselves.
            await self._work.give_up(boarded)
            raise
        if result is None:
            # Which a cache cannot tell from nothing.
            await self._work.give_up(boarded)
        else:
            owner = f"user:{context.asker.user_id}"
            await self._work.land(boarded, result, ttl_s=self._tool.traits.fresh_s, owner=owner)
        return result
