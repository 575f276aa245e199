"""The database functions that move runs, typed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from backend.domain.ids import MessageId, RunId, SessionId, WorkerId
from backend.domain.json_values import JsonObject
from backend.domain.runs import Claim, Outcome, claim_from_json
from backend.ports.gateway import Gateway

Stored: TypeAlias = Literal["stored", "retrying", "deferred", "overdue", "lost", "gone"]
"""Lost: another holds the fence by now. Gone: the session was deleted. Overdue: it has waited too
long. These wrote nothing."""
Events: TypeAlias = Sequence[JsonObject]


_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Text:
    """Something said, under the id that its deltas were streamed with."""

    message_id: MessageId
    content: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a heartbeat learns."""

    lost: Sequence[RunId]
    busy: Sequence[RunId]
    """Somebody is changing these: nothing is known, and their leases are as they were."""
    cancelled: Sequence[RunId]
    expired: Sequence[RunId]


@dataclass(frozen=True, slots=True)
class Flushed:
    """For which runs a flush stored nothing."""

    lost: Sequence[RunId]
    busy: Sequence[RunId]
    """Somebody is changing these: the same events can be sent again."""


class RunQueue:
    """The queue as one worker sees it; every write holds only under the claim's fence."""

    def __init__(
        self,
        gateway: Gateway,
        worker: WorkerId,
        *,
        lease_s: float,
        announce: Callable[[SessionId], None] = lambda _session: None,
    ) -> None:
        """The queue is reached through the gateway.

        Args:
            gateway: The way to the database.
            worker: In whose name runs are claimed.
            lease_s: How long a run stays with a worker that says nothing.
            announce: Told of each session for which something was stored.
        """
        self._gateway = gateway
        self._worker = worker
        self._lease_s = lease_s
        self._announce = announce

    async def claim(
        self, limit: int, *, with_histories: bool = True
    ) -> list[tuple[Claim, JsonObject | None]]:
        """Return up to so many runs that are now ours for one lease.

        Args:
            limit: How many at most.
            with_histories: Most come with the row of their history, which saves a trip; large ones
                come without. None does after a claim that got no answer: megabytes may be why.
        """
        arguments = {
            "p_worker": self._worker,
            "p_limit": limit,
            "p_lease_s": self._lease_s,
            "p_message_limit": _MESSAGES if with_histories else 0,
        }
        rows = await self._gateway.call("engine.claim_runs", arguments)
        return [(claim_from_json(row), row.get("history")) for row in rows]

    async def history(self, claim: Claim) -> JsonObject | None:
        """Return the row of what the model needs, or None when the run is not ours any more."""
        arguments = self._held(claim) | {"p_message_limit": _MESSAGES}
        row: JsonObject | None = await self._gateway.call("engine.run_history", arguments)
        return row

    async def heartbeat(self, claims: Sequence[Claim]) -> Verdict:
        """Return what became of our runs; those still ours have a new lease."""
        held = [{"run_id": claim.run_id, "fence": claim.fence} for claim in claims]
        arguments = {"p_worker": self._worker, "p_runs": held, "p_lease_s": self._lease_s}
        answer = await self._gateway.call("engine.heartbeat_runs", arguments)
        cancelled = [it["run_id"] for it in answer["cancelled"]]
        return Verdict(answer["lost"], answer["busy"], cancelled, answer["expired"])

    async def flush(self, batch: Sequence[tuple[Claim, Events]]) -> Flushed:
        """Store events of many runs; return for which runs nothing was stored."""
        given = [
            {"run_id": claim.run_id, "fence": claim.fence, "events": events}
            for claim, events in batch
        ]
        arguments = {"p_worker": self._worker, "p_batch": given}
        answer = await self._gateway.call("engine.flush_events", arguments)
        flushed = Flushed(answer["lost"], answer["busy"])
        for claim, _ in batch:
            if claim.run_id not in (*flushed.lost, *flushed.busy):
                self._announce(claim.session_id)
        return flushed

    async def checkpoint(
        self, claim: Claim, steps: Events, text: tuple[Text, int] | None, events: Events
    ) -> Stored:
        """Store tool calls that are done and a text said on the way, with its ordinal."""
        said = text and {
            "message_id": text[0].message_id,
            "ordinal": text[1],
            "content": text[0].content,
        }
        return await self._write(
            "engine.checkpoint_run", claim, p_steps=steps, p_text=said, p_events=events
        )

    async def park(self, claim: Claim, steps: Events, events: Events) -> Stored:
        """Store tool calls that the client has to run; the run waits for it, without a lease."""
        return await self._write("engine.park_run", claim, p_steps=steps, p_events=events)

    async def finish(
        self, claim: Claim, outcome: Outcome, text: Text, usage: JsonObject, events: Events
    ) -> Mapping[str, Any]:
        """End the run with its one outcome row; return the state and how it really ended."""
        arguments = self._held(claim) | {
            "p_status": outcome.status,
            "p_message_id": text.message_id,
            "p_content": text.content,
            "p_usage": usage,
            "p_reason": outcome.reason,
            "p_error": outcome.error,
            "p_events": events,
        }
        answer: Mapping[str, Any] = await self._gateway.call("engine.finish_run", arguments)
        self._told(claim, answer["state"])
        return answer

    async def fail(
        self,
        claim: Claim,
        code: str,
        retry_after_s: float | None,
        text: Text,
        usage: JsonObject,
        events: Events,
    ) -> Stored:
        """Give the run back after an error that may pass; at the cap it has failed for good."""
        return await self._write(
            "engine.fail_run",
            claim,
            p_error=code,
            p_retry_after_s=retry_after_s,
            p_message_id=text.message_id,
            p_content=text.content,
            p_usage=usage,
            p_events=events,
        )

    async def keep_summary(self, claim: Claim, summary: JsonObject) -> Stored:
        """Keep what the beginning of the conversation said."""
        return await self._write("engine.keep_summary", claim, p_summary=summary)

    async def defer(self, claim: Claim, after_s: float | None, events: Events) -> Stored:
        """Give the run back for so long, because its model is at its limit or down; that is no failure."""
        return await self._write("engine.defer_run", claim, p_after_s=after_s, p_events=events)

    async def release(self, claim: Claim) -> Stored:
        """Give the run back untouched; what it streamed and nobody stored will be discarded."""
        return await self._write("engine.release_run", claim, p_events=[])

    async def report(self) -> None:
        """This worker is there, as readiness probes see it."""
        await self._gateway.call("engine.report_worker", {"p_worker": self._worker})

    async def dismiss(self) -> None:
        """This worker is gone."""
        await self._gateway.call("engine.dismiss_worker", {"p_worker": self._worker})

    async def purge(self, limit: int) -> Mapping[str, int]:
        """Delete events that are past their time; return the counts of what was done."""
        counts: Mapping[str, int] = await self._gateway.call("engine.purge", {"p_limit": limit})
        return counts

    def _held(self, claim: Claim) -> dict[str, Any]:
        return {"p_run": claim.run_id, "p_worker": self._worker, "p_fence": claim.fence}

    async def _write(self, function: str, claim: Claim, **arguments: Any) -> Stored:
        answer = await self._gateway.call(function, self._held(claim) | arguments)
        state: Stored = answer["state"]
        self._told(claim, state)
        return state

    def _told(self, claim: Claim, state: Stored) -> None:
        if state in ("stored", "retrying", "deferred"):
            self._announce(claim.session_id)
