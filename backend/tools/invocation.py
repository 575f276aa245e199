"""One call of a tool: checked, timed, tried again where that may help, its output made storable."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, cast

import structlog

from backend.domain.backoff import backoff_s
from backend.domain.json_values import Json, JsonObject
from backend.errors import DependencyFailed, ToolRefused, ToolUnavailable
from backend.ports.clock import Clock
from backend.ports.tools import ServerTool, ToolContext
from backend.telemetry.defects import describe
from backend.telemetry.names import TOOL_BROKE
from backend.tools.outputs import Unusable, plain
from backend.tools.schemas import problems

_log = structlog.get_logger()
_RETRY_BASE_S = 0.25
_RETRY_LIMIT_S = 4.0
_CANCEL_S = 1.0
_MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What the model is told."""

    output: Json
    is_error: bool = False


async def invoke(
    tool: ServerTool, arguments: JsonObject, context: ToolContext, clock: Clock
) -> ToolOutcome:
    """Return what came of the call; whatever goes wrong is an outcome, too.

    An error is `{"error": code, "message"}` with the code invalid_arguments, tool_refused,
    tool_unavailable, tool_timed_out, output_unusable or tool_failed. Only being cancelled raises.
    """
    try:
        given, wrong = _checked(tool, arguments)
        if wrong:
            return _error("invalid_arguments", "\n".join(wrong))
        found = await _tried(tool, given, context, clock)
        try:
            return ToolOutcome(plain(found))
        except Unusable as error:
            return _error("output_unusable", str(error))
    except Exception as error:  # noqa: BLE001 - a defect of one tool ends no run
        return _failure(error, tool, context)


def _checked(tool: ServerTool, arguments: JsonObject) -> tuple[JsonObject, list[str]]:
    try:
        # As they will be stored, and read again after a crash.
        given = cast("JsonObject", plain(arguments))
    except Unusable as error:
        return {}, [f"arguments: {error}"]
    return given, problems(given, tool.definition.parameters)


def _failure(error: Exception, tool: ServerTool, context: ToolContext) -> ToolOutcome:
    match error:
        case ToolRefused():
            return _error("tool_refused", str(error))
        case ToolUnavailable():
            return _error("tool_unavailable", str(error))
        case DependencyFailed():
            return _error("tool_unavailable", "It cannot be had now.")
        case _TimedOut():
            said = f"No answer within {tool.traits.timeout_s:g} s. It may have taken effect."
            return _error("tool_timed_out", said)
        case _:
            keys = {"tool": tool.definition.name, "run_id": context.run_id, **describe(error)}
            _log.error(TOOL_BROKE, **keys)
            return _error("tool_failed", "The tool failed.")


class _TimedOut(Exception):
    """One try took too long."""


async def _tried(
    tool: ServerTool, arguments: JsonObject, context: ToolContext, clock: Clock
) -> Any:
    for attempt in range(tool.traits.attempts - 1):
        try:
            return await _once(tool, arguments, context, clock)
        except DependencyFailed:
            pass
        except _TimedOut:
            # Nobody knows whether it took effect.
            if not tool.traits.is_repeatable:
                raise
        await clock.sleep(
            backoff_s(attempt, base_s=_RETRY_BASE_S, limit_s=_RETRY_LIMIT_S, jitter=clock.random())
        )
    return await _once(tool, arguments, context, clock)


async def _once(tool: ServerTool, arguments: JsonObject, context: ToolContext, clock: Clock) -> Any:
    return await within(tool.traits.timeout_s, tool.call(arguments, context), clock)


async def within(seconds: float, work: Coroutine[Any, Any, Any], clock: Clock) -> Any:
    """Return what the work returns; afterwards it has ended, or was left after its cancellation.

    Raises:
        _TimedOut: It took longer.
    """
    working = asyncio.ensure_future(_contained(work))
    ticking = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({working, ticking}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _TimedOut
        if working.cancelled():
            # By itself: nobody else has asked for it, so it is no cancellation of ours.
            raise RuntimeError("The tool cancelled itself.")
        return working.result()
    finally:
        ticking.cancel()
        if not working.done():
            await _cancel(working, clock)


async def _contained(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt):
        # The loop would end with it, and the answers to everybody else.
        raise RuntimeError("The tool wanted to end the process.") from None


async def _cancel(working: asyncio.Future[Any], clock: Clock) -> None:
    # A tool that does not let itself be cancelled is not waited for.
    working.add_done_callback(_hear)
    working.cancel()
    ticking = asyncio.ensure_future(clock.sleep(_CANCEL_S))
    try:
        await asyncio.wait({working, ticking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ticking.cancel()


def _hear(working: asyncio.Future[Any]) -> None:
    # Whatever it still raises is nobody's any more.
    if not working.cancelled():
        working.exception()


def _error(code: str, message: str) -> ToolOutcome:
    said = str(plain(message[:_MOST_CHARACTERS]))
    return ToolOutcome({"error": code, "message": said}, is_error=True)
