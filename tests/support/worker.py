"""What a worker does: calls of the service functions, with the rights of the service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from tests.support.connections import Line

Claim: TypeAlias = dict[str, Any]


def text(words: str) -> list[dict[str, Any]]:
    """Return content that says this."""
    return [{"type": "text", "text": words}] if words else []


def call(position: int, call_id: str, *, output: Any = None) -> dict[str, Any]:
    """Return a step: a tool call that still needs its output, or one that has it."""
    data = {"call_id": call_id, "name": "roll_dice", "arguments": {"sides": 20}}
    if output is None:
        status = "requires_action"
    else:
        status, data = "completed", {**data, "output": output}
    return {"position": position, "type": "tool_call", "status": status, "data": data}


def delta(seq: int, message: UUID, words: str) -> dict[str, Any]:
    """Return the event of a piece of streamed text."""
    data = {"message_id": str(message), "text": words}
    return {"seq": seq, "type": "message.delta", "data": data}


class Worker:
    """One worker on a connection of its own."""

    def __init__(self, line: Line, name: str) -> None:
        self.line = line
        self.name = name

    async def call(self, function: str, *values: Any) -> Any:
        """Return what a function of the schema `engine` returns."""
        numbers = ", ".join(f"${number}" for number, _ in enumerate(values, 1))
        connection = await self.line.open()
        return await connection.fetchval(f"select engine.{function}({numbers})", *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Keep the calls inside uncommitted until the block ends."""
        async with (await self.line.open()).transaction():
            yield

    async def claim(self, limit: int = 10, lease_s: float = 10, **options: Any) -> list[Claim]:
        """Return the runs that are now this worker's."""
        excluded = list(options.get("excluded_models", ()))
        messages = options.get("message_limit", 0)
        return list(await self.call("claim_runs", self.name, limit, lease_s, excluded, messages))

    async def claim_one(self) -> Claim:
        """Return the one run that is ready."""
        (claim,) = await self.claim()
        return claim

    async def finish(self, claim: Claim, words: str = "Well met", **options: Any) -> Any:
        """Return what the end of the run with this text was answered."""
        content = options.get("content", text(words))
        return await self.call(
            "finish_run",
            *self._held(claim),
            options.get("status", "completed"),
            options.get("message_id"),
            content,
            options.get("usage"),
            options.get("reason"),
            options.get("error"),
            list(options.get("events", ())),
        )

    async def fail(self, claim: Claim, words: str = "", **options: Any) -> Any:
        """Return what a retryable error was answered."""
        return await self.call(
            "fail_run",
            *self._held(claim),
            options.get("error", "overloaded"),
            options.get("retry_after_s"),
            options.get("message_id"),
            text(words),
            options.get("usage"),
            list(options.get("events", ())),
        )

    async def checkpoint(
        self, claim: Claim, steps: Sequence[Any] = (), *, said: Any = None, events: Any = ()
    ) -> Any:
        """Return what storing finished tool calls, or a text, was answered."""
        held = self._held(claim)
        return await self.call("checkpoint_run", *held, list(steps), said, list(events))

    async def say(self, claim: Claim, words: str, ordinal: int = 0) -> UUID:
        """Return the id of a text that is stored on the way."""
        message = uuid4()
        said = {"message_id": str(message), "ordinal": ordinal, "content": text(words)}
        assert await self.checkpoint(claim, said=said) == {"state": "stored"}
        return message

    async def park(self, claim: Claim, *call_ids: str) -> Any:
        """Return what waiting for the outputs of these calls was answered."""
        steps = [call(position, name) for position, name in enumerate(call_ids)]
        return await self.call("park_run", *self._held(claim), steps, [])

    async def release(self, claim: Claim, events: Any = ()) -> Any:
        """Return what giving the run back was answered."""
        return await self.call("release_run", *self._held(claim), list(events))

    async def defer(self, claim: Claim, after_s: float | None = None, events: Any = ()) -> Any:
        """Return what waiting for the model's next turn was answered."""
        return await self.call("defer_run", *self._held(claim), after_s, list(events))

    async def flush(self, claim: Claim, *events: Any) -> Any:
        """Return the answer to storing these events of one run."""
        batch = {"run_id": claim["run_id"], "fence": claim["fence"], "events": list(events)}
        return await self.call("flush_events", self.name, [batch])

    async def heartbeat(self, *claims: Claim, lease_s: float = 10) -> Any:
        """Return the answer to extending the leases of these runs."""
        given = [{"run_id": claim["run_id"], "fence": claim["fence"]} for claim in claims]
        return await self.call("heartbeat_runs", self.name, given, lease_s)

    async def history(self, claim: Claim, limit: int = 200) -> Any:
        """Return what the model is given."""
        return await self.call("run_history", *self._held(claim), limit)

    async def reap(self, limit: int = 100) -> Any:
        """Return how many runs were taken back or ended."""
        return await self.call("reap_runs", limit)

    async def read_stream(self, claim: Claim, after: int = 0) -> Any:
        """Return what a reader of the session gets behind this event of the run."""
        cursor = {"session_id": claim["session_id"], "run_id": claim["run_id"], "after": after}
        (found,) = await self.call("read_streams", [cursor])
        return found

    def _held(self, claim: Claim) -> tuple[Any, ...]:
        return claim["run_id"], self.name, claim["fence"]
