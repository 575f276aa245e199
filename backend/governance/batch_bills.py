"""What an answer out of a batch cost, as a row of the ledger."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from backend.domain.usage import Usage
from backend.errors import AssistantsError
from backend.governance.estimates import Heard
from backend.governance.prices import Prices
from backend.ports.batches import BatchAnswer, BatchService
from backend.ports.ledger import COMPLETED
from backend.ports.models import Finished, ModelEvent, ModelRequest

_LONGEST_NAME = 200
_NOTHING = Finished("stop", Usage())


class BatchBills:
    """Reads what providers have counted."""

    def __init__(self, services: Mapping[str, BatchService], prices: Prices, factor: float) -> None:
        """Ready.

        Args:
            services: By the prefixes of their models.
            prices: Of direct calls, and of batches where the list has them.
            factor: What part of the direct price a call in a batch costs elsewhere.
        """
        self._services = services
        self._prices = prices
        self._factor = factor

    async def call(
        self,
        provider: str,
        grouping: str,
        item: Mapping[str, Any] | None,
        answer: BatchAnswer,
    ) -> Mapping[str, Any]:
        """Return the row, without who asked.

        Args:
            provider: The prefix of its models.
            grouping: Of its batch; names the model.
            item: The question, unless its run is gone.
            answer: Succeeded or errored.
        """
        asked = str(json.loads(grouping)["model"])
        heard, final, outcome = Heard(), _NOTHING, COMPLETED
        try:
            events = self._services[provider].decode(answer, ModelRequest(asked, ()))
            final = await _end_of(events, heard)
        except AssistantsError as error:
            outcome = error.code
        usage = final.usage
        model = final.model if 0 < len(final.model) <= _LONGEST_NAME else asked
        counted = usage.input_tokens + usage.output_tokens > 0
        is_estimated = answer.state == "succeeded" and not counted
        if is_estimated:
            usage = heard.usage_in_batch((item or {}).get("bytes") or 0, answer.body)
        return {
            "provider": provider,
            "model": model,
            "asked_model": None if model == asked else asked,
            **usage.as_json(),
            "is_estimated": is_estimated,
            "outcome": outcome,
            "cost_usd": self._prices.cost_usd(provider, model, usage, batch_factor=self._factor),
            "price_factor": self._factor,
            "first_token_ms": None,
        }


async def _end_of(events: AsyncGenerator[ModelEvent, None], heard: Heard) -> Finished:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finished):
                return event
            heard.hear(event)
    return _NOTHING
