"""The model is asked, and what it says is streamed."""

from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from backend.domain.ids import MessageId
from backend.errors import DependencyFailed, ModelContextExceeded, ModelRefused
from backend.ports.clock import Clock
from backend.ports.models import Discarded, LLMProvider, ModelReply, ModelRequest, TextDelta
from backend.ports.replies import Reply, collect
from backend.runs.endings import Endings
from backend.runs.flusher import Flusher
from backend.runs.live import LiveRun, RunStopped, Stop
from backend.runs.questions import Questions
from backend.runs.queue import RunQueue
from backend.runs.summaries import holds_for, summary_of
from backend.runs.truncation import Cut, cut_harder
from backend.runs.turns import Turns
from backend.telemetry.names import SUMMARY_FAILED

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How far one run may go before it ends as incomplete."""

    max_rounds: int
    """Of tool calls."""
    max_text_bytes: int
    """Of one answer of the model, as UTF-8."""


class Asking:
    """Asks models, and lets readers hear them."""

    def __init__(
        self,
        models: LLMProvider,
        queue: RunQueue,
        endings: Endings,
        flusher: Flusher,
        clock: Clock,
        limits: RunLimits,
    ) -> None:
        self._models = models
        self._queue = queue
        self._endings = endings
        self._flusher = flusher
        self._clock = clock
        self._limits = limits

    async def reply(self, run: LiveRun, questions: Questions, turns: Turns) -> ModelReply:
        """Return what the model says to the conversation so far.

        A provider that finds it too long is asked once more with half of it.

        Raises:
            RunStopped: The run was stopped, or its model goes on and on.
        """
        dropped = questions.cut(turns)
        told = await self._summary(run, questions, dropped)
        request = questions.next(dropped.messages(told), turns)
        try:
            return await self._heard(run, request)
        except ModelContextExceeded:
            harder = cut_harder(request.messages)
            if harder is None or not run.is_silent:
                raise
            shorter = replace(
                request, messages=harder.messages(), place=f"{request.place}, shorter"
            )
            return await self._heard(run, shorter)

    async def _heard(self, run: LiveRun, request: ModelRequest) -> ModelReply:
        return await run.until_stopped(self._hear(run, request))

    async def _hear(self, run: LiveRun, request: ModelRequest) -> ModelReply:
        reply = Reply()
        async with aclosing(self._models.stream(request)) as stream:
            async for event in stream:
                reply.hear(event)
                if isinstance(event, Discarded):
                    run.discard(MessageId(self._clock.new_id()))
                    self._flusher.mark(run)
                if reply.text_bytes > self._limits.max_text_bytes:
                    raise RunStopped(Stop.OVERLONG)
                if isinstance(event, TextDelta):
                    # The first words are what somebody stares at the screen for.
                    urgent = run.is_silent
                    run.say(event.text)
                    self._flusher.mark(run, urgent=urgent)
        return reply.whole()

    async def _summary(self, run: LiveRun, questions: Questions, dropped: Cut) -> str:
        """Return a few words on what was cut, where the assistant wants them; made once and kept."""
        if not (dropped.dropped and questions.assistant.options.truncation.is_summarised):
            return ""
        if questions.summary and holds_for(questions.summary, dropped):
            return questions.summary.text
        asked = collect(self._models.stream(questions.of_summary(dropped)))
        try:
            reply = await run.until_stopped(asked)
        except (DependencyFailed, ModelRefused) as error:
            # An answer without it is better than none.
            _log.warning(SUMMARY_FAILED, run_id=run.claim.run_id, code=error.code)
            return ""
        run.spend(reply.usage)
        made = questions.summary = summary_of(dropped, reply.text)
        kept = made.as_json()
        await self._endings.while_leased(run, lambda: self._queue.keep_summary(run.claim, kept))
        return made.text
