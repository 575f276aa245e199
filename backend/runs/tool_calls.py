"""What becomes of the tool calls that a model makes."""

from collections.abc import Sequence

import structlog

from backend.domain.assistants import Assistant
from backend.domain.ids import MessageId
from backend.domain.json_values import JsonObject
from backend.ports.clock import Clock
from backend.ports.models import ModelReply
from backend.runs.endings import Endings
from backend.runs.flusher import Flusher
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.queue import RunQueue, Stored
from backend.runs.turns import Turns
from backend.telemetry import names

_log = structlog.get_logger()


class ToolCalls:
    """Parks calls of the client's functions; answers calls of tools that nobody has."""

    def __init__(self, queue: RunQueue, flusher: Flusher, endings: Endings, clock: Clock) -> None:
        self._queue = queue
        self._flusher = flusher
        self._endings = endings
        self._clock = clock

    async def take(
        self, run: LiveRun, assistant: Assistant, turns: Turns, reply: ModelReply
    ) -> bool:
        """Store one round of calls; return whether the model can go on now.

        Returns:
            False where the client has to run some: the run is parked and not ours any more.

        Raises:
            RunStopped: The run was another's already.
        """
        known = {tool.name for tool in assistant.tools}
        calls = turns.with_new_ids(reply.calls, self._clock)
        steps = turns.steps(calls, known, run.ordinal + bool(reply.text), reply.usage)
        done = [step for step in steps if step["status"] == "completed"]
        if reply.text or done:
            await self._checkpoint(run, done, reply.text)
        if len(done) < len(steps):
            open_ = [step for step in steps if step["status"] == "requires_action"]
            await self._park(run, open_)
            return False
        turns.add(reply.text, calls)
        return True

    async def _checkpoint(self, run: LiveRun, steps: Sequence[JsonObject], text: str) -> None:
        await self._flusher.settle(run)
        events = run.log.take()
        said = (run.text, run.ordinal) if text else None
        self._check(
            await self._endings.while_leased(
                run, lambda: self._queue.checkpoint(run.claim, steps, said, events)
            )
        )
        if text:
            run.begin_text(MessageId(self._clock.new_id()))

    async def _park(self, run: LiveRun, steps: Sequence[JsonObject]) -> None:
        await self._flusher.settle(run)
        events = run.log.take()
        self._check(
            await self._endings.while_leased(
                run, lambda: self._queue.park(run.claim, steps, events)
            )
        )
        _log.info(names.RUN_PARKED, run_id=run.claim.run_id, calls=len(steps))

    def _check(self, state: Stored) -> None:
        if state != "stored":
            raise RunStopped(Stop.LOST)
