"""What the tests of batches share: a project, workers, and a relay before each provider."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.batches.relay import Relay, relay_to
from tests.faults.scene import Scene
from tests.models.accounts import KEY
from tests.models.servers import Control
from tests.support.oracles import text_of
from tests.support.processes import WorkerProcess, until

MODELS = {"openai": "gpt-5.4", "anthropic": "claude-sonnet-4-5", "mistral": "mistral-small-2506"}
QUESTION = "How tall is the Brocken?"
CREATE = {
    "openai": "/v1/batches",
    "anthropic": "/v1/messages/batches",
    "mistral": "/v1/batch/jobs",
}
"""Where each provider makes a batch, and lists those that it has made."""
SAID = {"openai": "Mock batch completion"} | {
    name: MODELS[name] for name in ("anthropic", "mistral")
}
"""What is in each mock's answer out of a batch."""


class BatchScene(Scene):
    """A project whose assistant may wait."""

    relays: dict[str, Relay]
    used: set[str]

    async def open(self, mocks: Mapping[str, Control]) -> None:
        """There is a relay before each mock."""
        self.used = set()
        self.relays = {
            name: await self._stack.enter_async_context(relay_to(_root(mock, name)))
            for name, mock in mocks.items()
        }

    async def use(self, provider: str, **options: Any) -> Relay:
        """Return the relay; the assistant's model is this provider's, and may wait."""
        await self.admin.execute(
            "update public.assistants set model = $1, options = $2",
            f"{provider}:{MODELS[provider]}",
            {"service": "batch", "max_output_tokens": 1000, **options},
        )
        self.used.add(provider)
        return self.relays[provider]

    def work(self, **settings: str) -> WorkerProcess:
        """Return a worker with accounts at those that are used, which sends batches soon."""
        told = {"MODEL_BATCHES": "openai,anthropic,mistral"}
        for name in self.used:
            relay = self.relays[name]
            told[f"{name}_API_KEY".upper()] = KEY
            told[f"{name}_BASE_URL".upper()] = relay.url + ("/v1" if name == "openai" else "")
        pace = {"MODEL_BATCH_DELAY_S": "0.2", "MODEL_BATCH_POLL_S": "0.3"}
        return self.workshop.start(**{**told, **pace, **settings})

    async def answer_of(self, session: UUID) -> tuple[str, str | None, str | None]:
        """Return text, error and status of the session's only run."""
        (run,) = await self.chat.runs(session)
        row = await self.chat.outcome(run["id"])
        return text_of(row), row["error"], row["status"]

    async def calls(self) -> list[dict[str, Any]]:
        """Return the ledger."""
        return [dict(it) for it in await self.admin.fetch("select * from engine.model_calls")]

    async def items(self) -> list[str]:
        """Return the states of all questions."""
        rows = await self.admin.fetch("select state from engine.batch_items order by created_at")
        return [row["state"] for row in rows]

    async def until_items(self, *states: str) -> None:
        """The questions are in these states."""

        async def holds() -> bool:
            return await self.items() == list(states)

        await until(holds, 30)

    async def until_batch(self, state: str) -> None:
        """The only batch is in this state."""

        async def holds() -> bool:
            found = await self.admin.fetchval("select state from engine.batches")
            return bool(found == state)

        await until(holds, 30)

    async def end_leases(self) -> None:
        """As if so much time had passed that nobody holds a batch any more, and all are due."""
        await self.admin.execute(
            "update engine.batches set lease_until = clock_timestamp(), looks_at = clock_timestamp()"
            " where state <> 'ended'"
        )


def _root(mock: Control, name: str) -> str:
    return mock.url_of(name).removesuffix("/v1")
