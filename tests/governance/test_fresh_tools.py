"""A function that says how long its result holds is called once within that time."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from backend.domain.asker import Asker
from backend.domain.assistants import Assistant, FunctionTool
from backend.domain.ids import AssistantId, RunId, SessionId
from backend.domain.json_values import Json, JsonObject
from backend.errors import ToolUnavailable
from backend.governance.fresh_tools import FreshTools
from backend.ports.tools import ServerTool, ToolContext, ToolTraits
from backend.tools.outputs import plain
from tests.governance.memory_caches import MemoryCaches
from tests.support.manual_clock import ManualClock, settle

ADA = Asker("user_2ada", None, "assistant_1", "run_1")
HERE = ToolContext(RunId("run_1"), SessionId("session_1"), ADA, "key_1")


class Weather:
    """Counts its calls; answers with their number."""

    def __init__(self, fresh_s: float) -> None:
        self.definition = FunctionTool("get_weather", "", {})
        self.traits = ToolTraits(fresh_s=fresh_s)
        self.calls = 0
        self.fails = False
        self.answers: Any = "sunny"

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        del arguments, context
        self.calls += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ToolUnavailable("away")
        return cast("Json", self.answers)


class Box:
    """Holds one function."""

    def __init__(self, tool: ServerTool) -> None:
        self._tool = tool

    async def tools_of(self, assistant: Assistant) -> Mapping[str, ServerTool]:
        del assistant
        return {"get_weather": self._tool}


async def fresh(weather: Weather) -> tuple[ServerTool, MemoryCaches]:
    caches = MemoryCaches()
    box = FreshTools(Box(weather), caches, ManualClock(), plain)
    return (await box.tools_of(Assistant(AssistantId("a"), "", "", ())))["get_weather"], caches


KIEL = {"city": "Kiel"}


async def test_the_same_asker_is_told_the_same_for_as_long_as_the_function_says() -> None:
    weather = Weather(60)
    tool, caches = await fresh(weather)

    told = [await tool.call(KIEL, HERE), await tool.call(KIEL, replace(HERE, run_id=RunId("b")))]

    assert told == ["sunny", "sunny"]
    assert weather.calls == 1
    (entry,) = caches.entries.values()
    assert (entry.ttl_s, entry.owner) == (60, "user:user_2ada")
    assert (tool.definition, tool.traits) == (weather.definition, weather.traits)


@pytest.mark.parametrize(
    ("arguments", "context"),
    [
        ({"city": "Bonn"}, HERE),
        (KIEL, replace(HERE, asker=replace(ADA, user_id="user_2bob"))),
        (KIEL, replace(HERE, asker=replace(ADA, org_id="org_1"))),
    ],
)
async def test_other_arguments_and_other_askers_are_other_calls(
    arguments: JsonObject, context: ToolContext
) -> None:
    weather = Weather(60)
    tool, _ = await fresh(weather)

    await tool.call(KIEL, HERE)
    await tool.call(arguments, context)

    assert weather.calls == 2


async def test_a_function_that_says_nothing_is_called_each_time_and_stays_as_it_is() -> None:
    weather = Weather(0)
    tool, caches = await fresh(weather)

    assert tool is weather
    assert caches.asked == 0


async def test_parallel_calls_share_one_and_a_failure_is_kept_for_nobody() -> None:
    weather = Weather(60)
    weather.fails = True
    tool, caches = await fresh(weather)
    with pytest.raises(ToolUnavailable):
        await tool.call(KIEL, HERE)
    weather.fails = False

    told = await asyncio.gather(*(tool.call(KIEL, HERE) for _ in range(5)))

    assert told == ["sunny"] * 5
    assert (weather.calls, caches.released) == (2, 1)


async def test_nothing_is_a_result_too_and_is_asked_for_again() -> None:
    weather = Weather(60)
    weather.answers = None
    tool, caches = await fresh(weather)

    assert [await tool.call(KIEL, HERE) for _ in range(2)] == [None, None]
    await settle()
    assert (weather.calls, caches.entries) == (2, {})


async def test_what_is_kept_is_what_can_be_stored() -> None:
    weather = Weather(60)
    weather.answers = {"said": "a\x00b", "wind": float("nan"), "days": ("a",)}
    tool, caches = await fresh(weather)

    told = [await tool.call(KIEL, HERE) for _ in range(2)]

    assert told == [{"said": "a\N{REPLACEMENT CHARACTER}b", "wind": None, "days": ["a"]}] * 2
    assert [entry.value for entry in caches.entries.values()] == told[:1]


@pytest.mark.parametrize("answer", [object(), "x" * 300_000], ids=["no_json", "large"])
async def test_what_cannot_be_stored_is_kept_for_nobody(answer: Any) -> None:
    weather = Weather(60)
    weather.answers = answer
    tool, caches = await fresh(weather)

    told = await asyncio.gather(*(tool.call(KIEL, HERE) for _ in range(2)))

    assert told == [answer] * 2
    assert (weather.calls, caches.entries, caches.released) == (2, {}, 2)
