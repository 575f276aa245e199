"""What becomes of the tool calls that a model makes."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from backend.domain import events
from backend.domain.asker import Asker
from backend.domain.ids import MessageId
from backend.domain.json_values import JsonObject
from backend.domain.runs import Step
from backend.ports.clock import Clock
from backend.ports.models import ModelReply
from backend.ports.tools import ServerTool, ToolContext
from backend.runs.endings import Endings
from backend.runs.flusher import Flusher
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.queue import RunQueue, Stored
from backend.runs.run_tools import RunTools
from backend.runs.turns import Turns
from backend.telemetry import names
from backend.tools.invocation import ToolOutcome, invoke

_log = structlog.get_logger()
_AT_ONCE = 8


class ToolCalls:
    """Makes calls of the service's functions; parks the run for those of the client's.

    A round is stored before its first call is made, and each result as soon as there is one: what
    an earlier attempt has finished is not made again.
    """

    def __init__(self, queue: RunQueue, flusher: Flusher, endings: Endings, clock: Clock) -> None:
        self._queue = queue
        self._flusher = flusher
        self._endings = endings
        self._clock = clock

    async def begin(self, run: LiveRun, turns: Turns, tools: RunTools, reply: ModelReply) -> None:
        """Store what the model said and the calls that it wants, none of them made yet.

        Raises:
            RunStopped: The run was another's already.
        """
        steps = turns.begin(reply, self._clock, ordinal=run.ordinal + bool(reply.text))
        ours = [step for step in steps if _name(step) not in tools.client]
        for step in ours:
            run.log.append(events.CALL_STARTED, _told(step))
        # Parking stores the client's calls as well.
        if reply.text or ours:
            await self._store(run, steps, reply.text)

    async def complete(self, run: LiveRun, asker: Asker, turns: Turns, tools: RunTools) -> bool:
        """Make the calls that are open; return whether the model can go on.

        Returns:
            False where the client has to make some: the run is parked and not ours any more.

        Raises:
            RunStopped: Somebody stopped the run; what was done by then is stored where it matters.
        """
        known = {*tools.server, *tools.client}
        made_up = [step for step in turns.open if _name(step) not in known]
        await self._settle(run, turns, [(step, unknown_tool(_name(step))) for step in made_up])
        ours = [step for step in turns.open if _name(step) in tools.server]
        await self._make(run, asker, turns, [(step, tools.server[_name(step)]) for step in ours])
        if left := turns.open:
            await self._park(run, left)
        return not left

    async def _make(
        self, run: LiveRun, asker: Asker, turns: Turns, calls: Sequence[tuple[Step, ServerTool]]
    ) -> None:
        places = asyncio.Semaphore(_AT_ONCE)

        async def make(step: Step, tool: ServerTool) -> ToolOutcome:
            if turns.was_interrupted(step) and not tool.traits.is_repeatable:
                return _INTERRUPTED
            async with places:
                return await invoke(tool, _arguments(step), _context(run, asker, step), self._clock)

        making = {asyncio.create_task(make(step, tool)): step for step, tool in calls}
        try:
            while making:
                done = await run.until_stopped(_some(making))
                await self._settle(run, turns, [(making.pop(it), it.result()) for it in done])
        except RunStopped as stopped:
            if stopped.why is Stop.DRAINED:
                done = {it for it in making if it.done()}
                await self._settle(run, turns, [(making.pop(it), it.result()) for it in done])
            raise
        finally:
            await _end(making)

    async def _settle(
        self, run: LiveRun, turns: Turns, results: Sequence[tuple[Step, ToolOutcome]]
    ) -> None:
        done = [turns.settle(step, it.output, is_error=it.is_error) for step, it in results]
        for step in done:
            run.log.append(_EVENTS[step.status], _told(step))
        if done:
            await self._store(run, done)

    async def _store(self, run: LiveRun, steps: Sequence[Step], text: str = "") -> None:
        await self._flusher.settle(run)
        taken = run.log.take()
        said = (run.text, run.ordinal) if text else None
        rows = [step.as_json() for step in steps]
        self._check(
            await self._endings.while_leased(
                run, lambda: self._queue.checkpoint(run.claim, rows, said, taken)
            )
        )
        if text:
            run.begin_text(MessageId(self._clock.new_id()))

    async def _park(self, run: LiveRun, steps: Sequence[Step]) -> None:
        await self._flusher.settle(run)
        taken = run.log.take()
        rows = [{**step.as_json(), "status": "requires_action"} for step in steps]
        self._check(
            await self._endings.while_leased(run, lambda: self._queue.park(run.claim, rows, taken))
        )
        _log.info(names.RUN_PARKED, run_id=run.claim.run_id, calls=len(steps))

    def _check(self, state: Stored) -> None:
        if state != "stored":
            raise RunStopped(Stop.LOST)


def unknown_tool(name: str) -> ToolOutcome:
    """Return what the model is told about a tool that it made up."""
    said = f"There is no tool named {name}."
    return ToolOutcome({"error": "unknown_tool", "message": said}, is_error=True)


_INTERRUPTED = ToolOutcome(
    {
        "error": "interrupted",
        "message": "The call was interrupted; nobody knows whether it took effect.",
    },
    is_error=True,
)
_EVENTS = {"completed": events.CALL_COMPLETED, "failed": events.CALL_FAILED}


def _context(run: LiveRun, asker: Asker, step: Step) -> ToolContext:
    claim = run.claim
    return ToolContext(claim.run_id, claim.session_id, asker, f"{claim.run_id}-{step.position}")


def _told(step: Step) -> JsonObject:
    return {"call_id": step.data["call_id"], "name": step.data["name"]}


def _name(step: Step) -> str:
    return str(step.data["name"])


def _arguments(step: Step) -> JsonObject:
    given = step.data.get("arguments")
    return given if isinstance(given, dict) else {}


async def _some(making: Mapping[asyncio.Task[ToolOutcome], Step]) -> set[asyncio.Task[ToolOutcome]]:
    done, _ = await asyncio.wait(making, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _end(making: Mapping[asyncio.Task[ToolOutcome], Step]) -> None:
    for task in making:
        task.cancel()
    await asyncio.gather(*making, return_exceptions=True)
