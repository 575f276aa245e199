"""What one run asks its model: the conversation, cut to what the model takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from backend.domain.assistants import Assistant
from backend.domain.messages import Message
from backend.domain.options import Options
from backend.domain.runs import History
from backend.domain.windows import window_of
from backend.ports.models import ModelRequest
from backend.runs.live import LiveRun
from backend.runs.run_tools import RunTools
from backend.runs.summaries import INSTRUCTIONS, SUMMARY_TOKENS, question_of, summary_from_json
from backend.runs.truncation import Cut, cut, room_of
from backend.runs.turns import Turns


class Questions:
    """All questions of one run."""

    def __init__(
        self,
        run: LiveRun,
        history: History,
        assistant: Assistant,
        tools: RunTools,
        answering: Mapping[str, str],
    ) -> None:
        """Nothing is asked yet.

        Args:
            run: It has been claimed.
            history: Its conversation, and who asks.
            assistant: Says how its model is asked.
            tools: That the model may call.
            answering: Which model answers for which.
        """
        self.run = run
        self.assistant = assistant
        self.tools = tools
        self.summary = summary_from_json(history.summary)
        """Of what was cut; of another branch perhaps, or of less than is cut now."""
        self._asker = history.asker
        self._answering = answering

    def cut(self, turns: Turns) -> Cut:
        """Return how much of the conversation the model is given."""
        options, told = self.assistant.options, self.tools.definitions
        room = room_of(self._window(), self.assistant.instructions, told, options)
        return cut(turns.messages, options.truncation, room)

    def next(self, messages: Sequence[Message], turns: Turns) -> ModelRequest:
        """Return the question for the answer, or for the next calls of tools."""
        options = self.assistant.options
        if turns.rounds and options.tool_choice != "none":
            # Who must call a tool each time never answers.
            options = replace(options, tool_choice="auto")
        return ModelRequest(
            self.run.claim.model,
            messages,
            self.assistant.instructions,
            self.tools.definitions,
            options=options,
            attempt=self.run.claim.fence,
            asker=self._asker,
            place=f"round {turns.rounds}",
            when_cut=self.run.spend,
        )

    def of_summary(self, dropped: Cut) -> ModelRequest:
        """Return the question for a few words on what was cut."""
        fallbacks = self.assistant.options.fallback_models
        return ModelRequest(
            self.run.claim.model,
            question_of(dropped, self.summary, window_tokens=self._window()),
            INSTRUCTIONS,
            options=Options(max_output_tokens=SUMMARY_TOKENS, fallback_models=fallbacks),
            attempt=self.run.claim.fence,
            asker=self._asker,
            when_cut=self.run.spend,
        )

    def _window(self) -> int:
        models = (self.run.claim.model, *self.assistant.options.fallback_models)
        return window_of(models, self._answering)
