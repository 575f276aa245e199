"""No model is asked for whoever has spent what they may; above a soft limit a cheaper one answers."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog

from backend.domain.asker import Asker
from backend.domain.options import Options
from backend.domain.usage import Usage
from backend.errors import BudgetExceeded
from backend.governance.estimates import input_bound
from backend.governance.prices import Prices
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.ports.models import Embeddings, LLMProvider, ModelEvent, ModelRequest
from backend.ports.replies import Streamed

BUDGET_EXCEEDED = "budget.exceeded"
BUDGET_SPARED = "budget.spared"
"""A cheaper model answers."""
_OUTPUT_TOKENS = 1024
_NO_ANSWER = Options(max_output_tokens=0)
_HELD_S = 900.0
_NONE_S = 5.0
_log = structlog.get_logger()


class Budgeted(Streamed):
    """Asks the database before each call, which reserves what the call may cost."""

    def __init__(
        self, provider: LLMProvider, gateway: Gateway, prices: Prices, clock: Clock
    ) -> None:
        """Ready.

        Args:
            provider: Answers by whole ids; Finished says which model did.
            gateway: The way to the budgets.
            prices: For what is reserved; a model without a price counts by its tokens only.
            clock: Where there are no budgets at all, so many seconds pass without asking again.
        """
        self._provider = provider
        self._gateway = gateway
        self._prices = prices
        self._clock = clock
        self._asks_at = 0.0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer, of a cheaper model perhaps.

        Raises:
            BudgetExceeded: A hard limit of the user, the organisation or the assistant is reached.
        """
        allowed = await self._allowed(request)
        async with aclosing(self._provider.stream(allowed)) as events:
            async for event in events:
                yield event

    async def embed(
        self, texts: Sequence[str], *, model: str, asker: Asker | None = None
    ) -> Embeddings:
        """Return unit vectors; no cheaper model's would lie in the same space.

        Raises:
            BudgetExceeded: A hard limit of the user, the organisation or the assistant is reached.
        """
        await self._allowed(
            ModelRequest(model, (), "".join(texts), options=_NO_ANSWER, asker=asker)
        )
        return await self._provider.embed(texts, model=model, asker=asker)

    async def _allowed(self, request: ModelRequest) -> ModelRequest:
        if request.asker is None or self._clock.monotonic() < self._asks_at:
            return request
        call = self._described(request)
        found = await self._gateway.call("engine.reserve_budget", {"p_call": call})
        match found["state"]:
            case "hard":
                self._tell(BUDGET_EXCEEDED, request, found)
                raise BudgetExceeded(found["said"])
            case "soft" if found["model"] != request.model:
                self._tell(BUDGET_SPARED, request, found)
                # Whatever stood in line for a failure may be as expensive as the first.
                options = replace(request.options, fallback_models=())
                return replace(request, model=found["model"], options=options, stands_in=True)
            case "none":
                self._asks_at = self._clock.monotonic() + _NONE_S
        return request

    def _described(self, request: ModelRequest) -> Mapping[str, Any]:
        asker = request.asker
        prefix, _, name = request.model.partition(":")
        told = request.options.max_output_tokens
        output = _OUTPUT_TOKENS if told is None else told
        most = Usage(input_tokens=input_bound(request), output_tokens=output)
        return {
            "id": self._clock.new_id(),
            "run_id": asker.run_id if asker else None,
            "user_id": asker.user_id if asker else None,
            "org_id": asker.org_id if asker else None,
            "assistant_id": asker.assistant_id if asker else None,
            "model": request.model,
            "input_tokens": most.input_tokens,
            "output_tokens": most.output_tokens,
            "cost_usd": self._prices.cost_usd(prefix, name, most),
            "held_s": _HELD_S,
        }

    def _tell(self, event: str, request: ModelRequest, found: Mapping[str, Any]) -> None:
        run_id = request.asker.run_id if request.asker else None
        _log.info(
            event,
            run_id=run_id,
            model=request.model,
            limit=found["limit"],
            instead=found["model"],
        )
