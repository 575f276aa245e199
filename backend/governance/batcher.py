"""Sends questions that wait in batches, and lands their answers.

Each worker has one for each provider. Whoever takes a batch looks after it alone, for as long as the
lease is; whoever takes it next knows whether it may have been sent, and then searches for it before it
sends anything.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from backend.errors import (
    AssistantsError,
    DatabaseRejected,
    InputInvalid,
    ModelNotFound,
    ModelRateLimited,
    ModelRefused,
)
from backend.governance.batch_bills import BatchBills
from backend.ports.batches import BatchAnswer, BatchService, Sought
from backend.ports.clock import Clock
from backend.ports.gateway import Gateway
from backend.telemetry.names import (
    BATCH_ANSWER_REFUSED,
    BATCH_FAILED,
    BATCH_FOUND,
    BATCH_GONE,
    BATCH_LANDED,
    BATCH_REFUSED,
    BATCH_SUBMITTED,
)

_LEASE_S = 300.0
_CALL_S = 240.0
"""Of all calls to the provider under one lease: well before its end."""
_SKEW_S = 900.0
"""The provider's clock may differ so much from the database's."""
_AT_ONCE = 20
_MISSED_BEFORE_GONE = 5
"""Looks at a batch that find nothing, before it is believed to be gone."""
_UNMADE = ""
"""Noted for an id: there is no batch for certain, so nobody need search for it."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BatchPace:
    """How soon questions are sent, and how often a provider is asked for answers."""

    delay_s: float = 30.0
    """Questions wait so long for others to go with."""
    poll_s: float = 60.0

    @property
    def beat_s(self) -> float:
        """How often the database is asked."""
        return max(0.05, min(self.delay_s / 2, self.poll_s / 2, 10.0))


class Batcher:
    """Moves batches on; any number of workers may have one each."""

    def __init__(
        self,
        gateway: Gateway,
        services: Mapping[str, BatchService],
        bills: BatchBills,
        pace: BatchPace,
        clock: Clock,
    ) -> None:
        """Nothing is taken yet.

        Args:
            gateway: The way to the questions.
            services: By the prefixes of their models.
            bills: Of the answers.
            pace: Of all of it.
            clock: For the waits.
        """
        self._gateway = gateway
        self._services = services
        self._bills = bills
        self._pace = pace
        self._clock = clock
        self._holder = clock.new_id()
        self._missed: dict[str, int] = {}

    async def step(self) -> None:
        """What is due now has moved on."""
        while batch := await self._take():
            await self._move(batch)
        await self._clock.sleep(self._pace.beat_s * (0.8 + 0.4 * self._clock.random()))

    async def _take(self) -> Mapping[str, Any] | None:
        arguments = {
            "p_holder": self._holder,
            "p_providers": list(self._services),
            "p_delay_s": self._pace.delay_s,
            "p_lease_s": _LEASE_S,
        }
        taken = await self._gateway.call("engine.take_batches", arguments)
        return taken[0] if taken else None

    async def _move(self, batch: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(_CALL_S):
                if batch["state"] == "submitting":
                    await self._submit(batch)
                else:
                    await self._collect(batch)
        except (AssistantsError, TimeoutError) as error:
            code = error.code if isinstance(error, AssistantsError) else "timed_out"
            _warn(batch, code)
            # Perhaps it was sent: who takes it next finds out.
            await self._later(batch)

    async def _submit(self, batch: Mapping[str, Any]) -> None:
        service, event = self._services[batch["provider"]], BATCH_FOUND
        vendor_id = None if batch["is_first"] else await service.find(_sought(batch))
        if vendor_id is None:
            try:
                vendor_id, event = await self._made(batch), BATCH_SUBMITTED
            except ModelRateLimited as error:
                _warn(batch, error.code)
                await self._later(batch, _UNMADE)
                return
        if vendor_id is None:
            await self._land(batch, [], is_last=True)
            return
        await self._note(batch, vendor_id)
        _log.info(event, batch_id=batch["id"], vendor_id=vendor_id, items=len(batch["items"]))

    async def _made(self, batch: Mapping[str, Any]) -> str | None:
        items = [(it["id"], it["body"]) for it in batch["items"]]
        if not items:
            return None
        service = self._services[batch["provider"]]
        try:
            return await service.submit(batch["id"], batch["grouping"], items)
        except (ModelNotFound, ModelRefused) as error:
            # Asked directly, the provider says what it dislikes.
            _log.warning(BATCH_REFUSED, batch_id=batch["id"], code=error.code)
            return None

    async def _collect(self, batch: Mapping[str, Any]) -> None:
        service = self._services[batch["provider"]]
        found = await self._found(batch)
        if found is None:
            await self._later(batch)
            return
        known = {it["id"]: it for it in batch["items"]}
        results = [
            await self._result(batch, known.get(item_id), item_id, answer)
            for item_id, answer in found.items()
            if item_id in batch["asked"]
        ]
        left = 0
        for start in range(0, len(results), _AT_ONCE):
            left += await self._land_some(batch, results[start : start + _AT_ONCE])
        if left or await self._land(batch, [], is_last=True):
            # Somebody holds their runs just now.
            await self._later(batch)
            return
        _log.info(BATCH_LANDED, batch_id=batch["id"], items=len(results))
        await service.forget(batch["grouping"], batch["vendor_id"])

    async def _found(self, batch: Mapping[str, Any]) -> dict[str, BatchAnswer] | None:
        service = self._services[batch["provider"]]
        try:
            found = await service.collect(batch["grouping"], batch["vendor_id"])
        except ModelNotFound:
            # A provider may know nothing of it for a moment, and what it has made is paid.
            self._missed[batch["id"]] = self._missed.get(batch["id"], 0) + 1
            if self._missed[batch["id"]] < _MISSED_BEFORE_GONE:
                raise
            _log.warning(BATCH_GONE, batch_id=batch["id"], provider=batch["provider"])
            found = {}
        self._missed.pop(batch["id"], None)
        return found

    async def _result(
        self,
        batch: Mapping[str, Any],
        item: Mapping[str, Any] | None,
        item_id: str,
        answer: BatchAnswer,
    ) -> Mapping[str, Any]:
        if answer.state == "expired":
            return {"id": item_id, "state": "expired", "answer": None, "call": None}
        call = await self._bills.call(batch["provider"], batch["grouping"], item, answer)
        told = {"state": answer.state, "body": answer.body}
        return {"id": item_id, "state": "done", "answer": told, "call": call}

    async def _land_some(
        self, batch: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
    ) -> int:
        """Return how many could not be stored; one that is refused takes no other with it."""
        try:
            return await self._land(batch, results, is_last=False)
        except (DatabaseRejected, InputInvalid):
            return sum([await self._land_one(batch, result) for result in results])

    async def _land_one(self, batch: Mapping[str, Any], result: Mapping[str, Any]) -> int:
        # What it said is worth more than its bill; without either its model is asked directly.
        unbilled = {**result, "call": None}
        unmade = {**unbilled, "state": "expired", "answer": None}
        for tried in (result, unbilled, unmade):
            try:
                return await self._land(batch, [tried], is_last=False)
            except (DatabaseRejected, InputInvalid) as error:
                _log.error(
                    BATCH_ANSWER_REFUSED, batch_id=batch["id"], item=result["id"], code=error.code
                )
        return 1

    async def _land(
        self, batch: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, is_last: bool
    ) -> int:
        """Return how many could not be stored just now."""
        arguments = {"p_batch": batch["id"], "p_results": results, "p_is_last": is_last}
        return int((await self._gateway.call("engine.land_batch", arguments))["left"])

    async def _later(self, batch: Mapping[str, Any], vendor_id: str | None = None) -> None:
        if batch["is_stale"]:
            # Its runs have been asked directly long ago.
            await self._land(batch, [], is_last=True)
        else:
            await self._note(batch, vendor_id)

    async def _note(self, batch: Mapping[str, Any], vendor_id: str | None) -> None:
        arguments = {
            "p_batch": batch["id"],
            "p_holder": self._holder,
            "p_vendor_id": vendor_id,
            "p_after_s": self._pace.poll_s * (0.9 + 0.2 * self._clock.random()),
        }
        await self._gateway.call("engine.note_batch", arguments)


def _warn(batch: Mapping[str, Any], code: str) -> None:
    _log.warning(BATCH_FAILED, batch_id=batch["id"], provider=batch["provider"], code=code)


def _sought(batch: Mapping[str, Any]) -> Sought:
    return Sought(
        batch["id"],
        batch["grouping"],
        frozenset(batch["asked"]),
        batch["created_s"] - _SKEW_S,
        frozenset(batch["others"]),
    )
