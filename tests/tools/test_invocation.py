"""One call of a tool has an outcome, whatever the tool or the model does."""

import asyncio
import contextlib
import math
from typing import Any

import pytest
import structlog

from backend.domain.json_values import Json, JsonObject
from backend.errors import DatabaseUnavailable, NotFound, ToolRefused, ToolUnavailable
from backend.ports.tools import ToolContext
from backend.tools.invocation import ToolOutcome, invoke
from tests.support.manual_clock import ManualClock, settle
from tests.tools.calling import ScriptedTool, call, context

PLACES: JsonObject = {
    "type": "object",
    "properties": {
        "places": {"type": "array", "items": {"properties": {"x": {"type": "number"}}}},
        "name": {"type": "string"},
    },
    "required": ["name"],
    "additionalProperties": False,
}
AWAY = ToolUnavailable("It is away.")


def error_of(outcome: ToolOutcome) -> str:
    assert outcome.is_error
    assert isinstance(outcome.output, dict)
    return str(outcome.output["error"])


def message_of(outcome: ToolOutcome) -> str:
    assert isinstance(outcome.output, dict)
    return str(outcome.output["message"])


async def test_the_result_of_a_tool_is_the_outcome() -> None:
    tool = ScriptedTool({"metres": 1141})
    assert await call(tool, name="Brocken") == ToolOutcome({"metres": 1141})
    assert tool.calls == [({"name": "Brocken"}, context())]


async def test_arguments_that_do_not_fit_are_told_by_place_and_the_tool_is_not_called() -> None:
    tool = ScriptedTool("never", schema=PLACES)
    outcome = await call(tool, places=[{"x": 1}, {"x": "east"}], colour="red")
    assert error_of(outcome) == "invalid_arguments"
    assert 'arguments.places[1].x: "east" is not of type "number"' in message_of(outcome)
    assert "'colour' was unexpected" in message_of(outcome)
    assert '"name" is a required property' in message_of(outcome)
    assert tool.calls == []


@pytest.mark.parametrize("name", ["\ud800" * 9, "\x00" * 5000, "x" * 1_000_000])
async def test_what_the_model_is_told_of_its_mistake_is_short_and_storable(name: str) -> None:
    tool = ScriptedTool("never", schema={"properties": {"name": {"maxLength": 3}}})
    message = message_of(await call(tool, name=name))
    assert len(message.encode()) < 2100


async def test_arguments_nested_without_end_are_an_error_of_the_model() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    tool = ScriptedTool("never", schema={"properties": {"a": {"type": "string"}}})
    assert error_of(await invoke(tool, deep, context(), ManualClock())) == "invalid_arguments"


async def test_a_tool_is_given_what_the_database_would_give_it_again() -> None:
    tool = ScriptedTool("done")
    assert not (await call(tool, name="a\x00b\ud800", size=math.nan)).is_error
    assert tool.calls[0][0] == {"name": "a\ufffdb\ufffd", "size": None}


async def test_a_schema_that_is_none_fails_the_call_and_not_the_run() -> None:
    tool = ScriptedTool("never", schema={"$ref": "http://169.254.169.254/latest"})
    assert error_of(await call(tool)) == "tool_failed"
    assert tool.calls == []


async def test_a_pattern_that_takes_forever_elsewhere_takes_no_time() -> None:
    tool = ScriptedTool("never", schema={"properties": {"name": {"pattern": "^(a+)+$"}}})
    outcome = await call(tool, name="a" * 50_000 + "!")
    assert error_of(outcome) == "invalid_arguments"


async def test_a_refusal_is_told_to_the_model_in_the_tools_words() -> None:
    outcome = await call(ScriptedTool(ToolRefused("No such mountain.")))
    assert outcome.output == {"error": "tool_refused", "message": "No such mountain."}
    assert outcome.is_error


async def test_a_failure_that_passes_is_tried_again_with_the_same_key() -> None:
    clock, tool = ManualClock(), ScriptedTool(AWAY, AWAY, "here", attempts=3)
    calling = asyncio.create_task(call(tool, clock))
    await clock.advance(0.1)
    assert len(tool.calls) == 1
    await clock.advance(60)
    assert await calling == ToolOutcome("here")
    assert [it.idempotency_key for _, it in tool.calls] == ["run:r1:call_1"] * 3


async def test_a_tool_that_stays_away_is_asked_no_more_often_than_it_says() -> None:
    clock, tool = ManualClock(), ScriptedTool(AWAY, attempts=2)
    calling = asyncio.create_task(call(tool, clock))
    await clock.advance(60)
    assert error_of(await calling) == "tool_unavailable"
    assert len(tool.calls) == 2


async def test_a_refusal_is_not_tried_again() -> None:
    tool = ScriptedTool(ToolRefused("No."), attempts=3)
    assert error_of(await call(tool)) == "tool_refused"
    assert len(tool.calls) == 1


async def test_each_try_has_its_own_time_and_is_cancelled_when_it_is_up() -> None:
    clock, never = ManualClock(), asyncio.Event()
    tool = ScriptedTool(never, never, "late", timeout_s=5, attempts=3)
    calling = asyncio.create_task(call(tool, clock))
    await clock.advance(4.9)
    assert tool.cancelled == 0
    await clock.advance(60)
    assert await calling == ToolOutcome("late")
    assert tool.cancelled == 2


async def test_a_call_that_must_not_be_repeated_is_not_tried_again_after_its_time() -> None:
    clock = ManualClock()
    tool = ScriptedTool(asyncio.Event(), timeout_s=5, attempts=3, is_repeatable=False)
    calling = asyncio.create_task(call(tool, clock))
    await clock.advance(60)
    outcome = await calling
    assert error_of(outcome) == "tool_timed_out"
    assert "may have taken effect" in message_of(outcome)
    assert len(tool.calls) == 1


class Stubborn(ScriptedTool):
    """Does not let itself be cancelled."""

    def __init__(self) -> None:
        super().__init__(None, timeout_s=5)
        self.let_go = asyncio.Event()

    async def call(self, arguments: JsonObject, context: ToolContext) -> Json:
        del arguments, context
        while not self.let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.let_go.wait()
        raise ToolRefused("Too late for anybody.")


async def test_a_tool_that_refuses_to_be_cancelled_is_left_behind() -> None:
    clock, tool = ManualClock(), Stubborn()
    calling = asyncio.create_task(call(tool, clock))
    await clock.advance(60)
    assert error_of(await calling) == "tool_timed_out"
    tool.let_go.set()
    await settle()


async def test_who_is_cancelled_cancels_the_tool_and_is_cancelled() -> None:
    tool = ScriptedTool(asyncio.Event())
    calling = asyncio.create_task(call(tool))
    await settle()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert tool.cancelled == 1


@pytest.mark.parametrize(
    "defect",
    [
        ZeroDivisionError("secret"),
        NotFound("secret"),
        asyncio.CancelledError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
        SystemExit("secret"),
        MemoryError("secret"),
    ],
    ids=lambda it: type(it).__name__,
)
async def test_a_defect_is_told_without_its_text_and_logged_by_its_class(
    defect: BaseException,
) -> None:
    with structlog.testing.capture_logs() as logged:
        outcome = await call(ScriptedTool(defect))
    assert outcome.output == {"error": "tool_failed", "message": "The tool failed."}
    (entry,) = logged
    assert (entry["event"], entry["tool"], entry["run_id"]) == ("tool.broke", "scripted", "r1")
    assert "secret" not in str(entry)


async def test_a_database_that_is_away_says_nothing_of_itself_to_the_model() -> None:
    outcome = await call(ScriptedTool(DatabaseUnavailable("engine.f at 10.0.0.5")))
    assert error_of(outcome) == "tool_unavailable"
    assert "10.0.0.5" not in message_of(outcome)


async def test_an_output_that_cannot_be_stored_is_an_error() -> None:
    assert error_of(await call(ScriptedTool("x" * 300_000))) == "output_unusable"
