"""One run: history, model, tools, outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog
from structlog.contextvars import bound_contextvars

from backend.domain import events
from backend.domain.runs import COMPLETED, History, Outcome, history_from_json
from backend.domain.successors import successors
from backend.errors import AssistantNotFound, AssistantsError, HistoryUnreadable
from backend.ports.clock import Clock
from backend.ports.models import (
    LLMProvider,
    ModelReply,
    StopReason,
)
from backend.ports.tools import NoTools, Toolbox
from backend.runs.asking import Asking, RunLimits
from backend.runs.attachments import Attachments
from backend.runs.endings import Endings
from backend.runs.failures import failure_of
from backend.runs.flusher import Flusher
from backend.runs.history import model_of, usage_of
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.questions import Questions
from backend.runs.queue import RunQueue
from backend.runs.run_tools import LeftOut, run_tools
from backend.runs.tool_calls import ToolCalls
from backend.runs.turns import Turns
from backend.telemetry.defects import describe
from backend.telemetry.names import RUN_BROKE, RUN_LOST

_log = structlog.get_logger()
_TOO_MANY_ROUNDS = Outcome("incomplete", "max_rounds")
_OUTCOMES: dict[StopReason, Outcome] = {
    "stop": COMPLETED,
    "tool_calls": COMPLETED,
    "length": Outcome("incomplete", "max_output_tokens"),
    "content_filter": Outcome("incomplete", "content_filter"),
    "refusal": Outcome("incomplete", "refusal"),
}
_CUT: frozenset[StopReason] = frozenset({"length", "content_filter", "refusal"})


@dataclass(frozen=True, slots=True)
class RunMeans:
    """What answers are made with."""

    models: LLMProvider
    """All of them, by their whole ids."""
    toolbox: Toolbox = field(default_factory=NoTools)
    """The service's own functions."""
    attachments: Attachments | None = None
    """Without, a model is told that there are files, and no more."""
    answering: Mapping[str, str] = field(default_factory=lambda: successors({}))
    """Which model answers for which: the window of the one that answers counts."""


class Execution:
    """Makes one answer; holds no database connection while the model works."""

    def __init__(
        self, queue: RunQueue, means: RunMeans, flusher: Flusher, clock: Clock, limits: RunLimits
    ) -> None:
        self._queue = queue
        self._means = means
        self._flusher = flusher
        self._max_rounds = limits.max_rounds
        self._left_out = LeftOut()
        self._endings = Endings(queue, flusher, clock)
        self._asking = Asking(means.models, queue, self._endings, flusher, clock, limits)
        self._tool_calls = ToolCalls(queue, flusher, self._endings, clock)

    async def run(self, run: LiveRun) -> None:
        """The run has ended, is parked, is given back, or is another's."""
        try:
            with bound_contextvars(run_id=run.claim.run_id):
                await self._end(run)
        except RunStopped:
            _log.info(RUN_LOST, run_id=run.claim.run_id)
        except Exception as error:  # noqa: BLE001 - the worker outlives a run
            # The database refuses what we want to write. The lease runs out, and whoever takes the
            # run back counts a failure, so that this ends at the cap.
            _log.error(RUN_BROKE, run_id=run.claim.run_id, **describe(error))

    async def _end(self, run: LiveRun) -> None:
        try:
            await self._answer(run)
        except RunStopped as stopped:
            await self._endings.stop(run, stopped.why)
        except Exception as error:  # noqa: BLE001 - a defect must not cost the user the answer
            if not isinstance(error, AssistantsError):
                _log.error(RUN_BROKE, run_id=run.claim.run_id, **describe(error))
            await self._endings.fail(run, failure_of(error))

    async def _answer(self, run: LiveRun) -> None:
        self._announce(run)
        history = await self._history(run)
        assistant = history.assistant
        if assistant is None:
            raise AssistantNotFound("The assistant of this run was deleted.")
        if self._means.attachments:
            loading = self._means.attachments.resolve(history.messages, history.asker)
            history = replace(history, messages=tuple(await run.until_stopped(loading)))
        self._left_out.tell(assistant)
        tools = await run.until_stopped(run_tools(assistant, self._means.toolbox))
        run.usage = usage_of(history.steps)
        run.answered_by = model_of(history.steps)
        turns, questions = (
            Turns(history),
            Questions(run, history, assistant, tools, self._means.answering),
        )
        while await self._tool_calls.complete(run, history.asker, turns, tools):
            reply = await self._asking.reply(run, questions, turns)
            run.spend(reply.usage)
            run.answered_by = reply.model or run.answered_by
            if outcome := self._outcome(reply, turns):
                await self._endings.finish(run, outcome)
                return
            await self._tool_calls.begin(run, turns, tools, reply)

    def _outcome(self, reply: ModelReply, turns: Turns) -> Outcome | None:
        # A call that was cut short by the limit has half its arguments: it is none.
        if not reply.calls or reply.reason in _CUT:
            return _OUTCOMES[reply.reason]
        return _TOO_MANY_ROUNDS if turns.rounds >= self._max_rounds else None

    def _announce(self, run: LiveRun) -> None:
        if run.claim.discarded_message_id is not None:
            discarded = {"message_id": run.claim.discarded_message_id}
            run.log.append(events.MESSAGE_DISCARDED, discarded)
        if run.claim.next_seq == 1:
            run.log.append(events.RUN_STARTED, {})
        self._flusher.mark(run)

    async def _history(self, run: LiveRun) -> History:
        # Taken out of the run, so that it is not kept in memory for as long as the model speaks.
        row, run.history = run.history, None
        if row is None:
            row = await self._endings.while_leased(run, lambda: self._queue.history(run.claim))
        if row is None:
            raise RunStopped(Stop.LOST)
        try:
            return history_from_json(row, run.claim.run_id, texts_said=run.claim.next_ordinal)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise HistoryUnreadable("A row of the conversation cannot be read.") from None
