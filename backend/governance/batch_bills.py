"""What an answer out of a batch cost, as a row of the ledger."""

import json
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from backend.domain.usage import Usage
from backend.errors import AssistantsError
from backend.governance.prices import Prices
from backend.ports.batches import BatchAnswer, BatchService
from backend.ports.ledger import COMPLETED
from backend.ports.models import Finished, ModelEvent, ModelRequest

_BYTES_PER_TOKEN = 3.5
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
        final, outcome = _NOTHING, COMPLETED
        try:
            final = await _end_of(self._services[provider].decode(answer, ModelRequest(asked, ())))
        except AssistantsError as error:
            outcome = error.code
        usage = final.usage
        model = final.model if 0 < len(final.model) <= _LONGEST_NAME else asked
        counted = usage.input_tokens + usage.output_tokens > 0
        is_estimated = answer.state == "succeeded" and not counted
        if is_estimated:
            usage = _estimate(item, answer)
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


async def _end_of(events: AsyncGenerator[ModelEvent, None]) -> Finished:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finished):
                return event
    return _NOTHING


def _estimate(item: Mapping[str, Any] | None, answer: BatchAnswer) -> Usage:
    """Return what was sent and what came back, in tokens: some servers do not count."""
    sent, said = (item or {}).get("bytes") or 0, len((answer.body or "").encode())
    return Usage(
        input_tokens=math.ceil(sent / _BYTES_PER_TOKEN),
        output_tokens=math.ceil(said / _BYTES_PER_TOKEN),
    )
