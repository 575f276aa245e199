"""Calls of tools, with as few words as possible."""

import asyncio
from typing import Any

from backend.domain.asker import Asker
from backend.domain.assistants import FunctionTool
from backend.domain.ids import RunId, SessionId
from backend.domain.json_values import Json, JsonObject
from backend.ports.clock import Clock
from backend.ports.tools import ServerTool, ToolContext, ToolTraits
from backend.tools.invocation import ToolOutcome, invoke
from tests.support.manual_clock import ManualClock

ANYTHING: JsonObject = {"type": "object"}


def context(sub: str = "user_2ada", session: str = "s1") -> ToolContext:
    """Return the context of a call in a user's name."""
    asker = Asker(sub, claims={"sub": sub, "role": "authenticated"})
    return ToolContext(RunId("r1"), SessionId(session), asker, "run:r1:call_1")


async def call(tool: ServerTool, clock: Clock | None = None, **arguments: Json) -> ToolOutcome:
    """Return what came of a call."""
    return await invoke(tool, arguments, context(), clock or ManualClock())


class ScriptedTool:
    """Does one after the other what a test says: raises errors, waits for events, returns."""

    def __init__(self, *acts: Any, schema: JsonObject = ANYTHING, **traits: Any) -> None:
        self._acts = list(acts)
        self.definition = FunctionTool("scripted", "", schema)
        self.traits = ToolTraits(**traits)
        self.calls: list[tuple[JsonObject, ToolContext]] = []
        self.cancelled = 0

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        self.calls.append((arguments, context))
        act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
        if isinstance(act, BaseException):
            raise act
        if isinstance(act, asyncio.Event):
            try:
                await act.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return None if isinstance(act, asyncio.Event) else act
