"""The runs that this worker holds, and how one of them is stopped."""

import asyncio
from collections.abc import Coroutine, Iterator
from enum import Enum
from typing import Any, TypeVar

from backend.domain.events import MESSAGE_DISCARDED
from backend.domain.ids import MessageId, RunId
from backend.domain.json_values import JsonObject
from backend.domain.messages import text_content
from backend.domain.runs import Claim
from backend.domain.usage import Usage
from backend.runs.event_log import EventLog
from backend.runs.queue import Text

T = TypeVar("T")


class Stop(Enum):
    """Why a run is stopped before its model is done."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"
    DRAINED = "drained"
    OVERLONG = "overlong"
    REFUSED = "refused"


class RunStopped(Exception):
    """The run goes no further, for this reason."""

    def __init__(self, why: Stop) -> None:
        super().__init__(why.value)
        self.why = why


class LiveRun:
    """One run in our hands: what it has said, and until when it is ours."""

    def __init__(
        self,
        claim: Claim,
        *,
        message_id: MessageId,
        lease_until: float,
        history: JsonObject | None = None,
    ) -> None:
        """Nothing is said yet.

        Args:
            claim: The run.
            message_id: What its first text will be stored under.
            lease_until: On the clock's monotonic scale.
            history: Its row, where it came with the claim.
        """
        self.claim = claim
        self.history = history
        self.lease_until = lease_until
        self.log = EventLog(claim.next_seq)
        self.ordinal = claim.next_ordinal
        self.usage = Usage()
        self.answered_by = ""
        """The id of the model whose words these are, once some are there."""
        self.stopped: Stop | None = None
        self._message_id = message_id
        self._said: list[str] = []
        self._work: asyncio.Task[Any] | None = None

    @property
    def spent(self) -> JsonObject:
        """What its row keeps of it: the tokens, and which model answered."""
        model = {"model": self.answered_by} if self.answered_by else {}
        return {**self.usage.as_json(), **model}

    @property
    def text(self) -> Text:
        """What it has said since the last text that was stored."""
        return Text(self._message_id, text_content("".join(self._said)))

    @property
    def is_silent(self) -> bool:
        """Whether nothing was said since the last text that was stored."""
        return not self._said

    def say(self, text: str) -> None:
        """Add to the text and to the events."""
        self._said.append(text)
        self.log.say(self._message_id, text)

    def spend(self, usage: Usage) -> None:
        """It has taken so much more."""
        self.usage += usage

    def begin_text(self, message_id: MessageId) -> None:
        """The text so far is stored; what is said from now on is another message."""
        self._message_id = message_id
        self._said = []
        self.ordinal += 1

    def discard(self, message_id: MessageId) -> None:
        """What was said since the last text that was stored is taken back."""
        if not self.is_silent:
            self.log.append(MESSAGE_DISCARDED, {"message_id": self._message_id})
            self._message_id = message_id
            self._said = []

    def stop(self, why: Stop) -> None:
        """The run's model call ends now; the first reason holds."""
        if self.stopped is None:
            self.stopped = why
            if self._work is not None:
                self._work.cancel()

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns.

        Raises:
            RunStopped: Somebody stopped the run; the work was cancelled, what it said is kept.
        """
        try:
            self._go_on()
        except RunStopped:
            work.close()
            raise
        self._work = asyncio.create_task(work)
        try:
            result: T = await self._work
        except asyncio.CancelledError:
            # Either the work was cancelled by `stop`, or we are, with the whole worker.
            ours = asyncio.current_task()
            if ours is None or not ours.cancelling():
                self._go_on()
            raise
        else:
            return result
        finally:
            self._work = None

    def _go_on(self) -> None:
        if self.stopped is not None:
            raise RunStopped(self.stopped)


class LiveRuns:
    """All runs in our hands."""

    def __init__(self) -> None:
        self._runs: dict[RunId, LiveRun] = {}
        self.none_left = asyncio.Event()
        self.none_left.set()

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(tuple(self._runs.values()))

    def add(self, run: LiveRun) -> None:
        """The run is ours; an older claim of the same run is lost, if we had one."""
        if (older := self._runs.get(run.claim.run_id)) is not None:
            older.stop(Stop.LOST)
        self._runs[run.claim.run_id] = run
        self.none_left.clear()

    def discard(self, run: LiveRun) -> None:
        """We are done with the run; a newer claim of the same run stays."""
        if self._runs.get(run.claim.run_id) is run:
            del self._runs[run.claim.run_id]
        if not self._runs:
            self.none_left.set()

    def get(self, run_id: str) -> LiveRun | None:
        """Return the run if it is ours."""
        return self._runs.get(RunId(run_id))
