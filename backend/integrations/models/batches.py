"""The batches of one vendor: whose questions go together, with which key, and what its errors mean."""

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from pydantic_ai.messages import ModelResponse

from backend.errors import (
    AssistantsError,
    ModelNotFound,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
)
from backend.integrations.models.failures import CLIENT_ERRORS, failure_of, traits_of
from backend.integrations.models.keys import KeyRing
from backend.integrations.models.questions import Question, prepare
from backend.integrations.models.stream import events_of_whole
from backend.integrations.models.vendors import Vendor
from backend.ports.batches import BatchAnswer, Encoded, Sought
from backend.ports.models import ModelEvent, ModelRequest

BATCH_CALL_FAILED = "batch.call_failed"
_TRIED_AGAIN = frozenset({408, 409, 425})
_MISSING = 404
_TOO_MANY = 429
_VENDOR_ID = re.compile(r"[!-~]{1,200}")
T = TypeVar("T")
_log = structlog.get_logger()


class BatchWire(Protocol):
    """How one vendor is told of batches; its errors have the `status_code` of HTTP, or none."""

    errors: tuple[type[Exception], ...]

    async def encode(self, question: Question) -> tuple[str, Sequence[str]]:
        """Return the body, and what all of a batch must have in common beside key and model."""
        ...

    async def decode(self, question: Question, answer: BatchAnswer) -> ModelResponse:
        """Return the answer, or raise its error, as the model's class does."""
        ...

    async def submit(
        self, key: str, batch_id: str, grouping: Mapping[str, Any], items: Sequence[tuple[str, str]]
    ) -> str:
        """Return the id of the batch that is made of these."""
        ...

    async def find(self, key: str, sought: Sought) -> str | None:
        """Return the id of a batch that was made before, if it was."""
        ...

    async def ended(self, key: str, vendor_id: str) -> Any | None:
        """Return the batch as the vendor describes it, or none before it has ended."""
        ...

    async def answers(self, key: str, batch: Any) -> dict[str, BatchAnswer]:
        """Return all answers of a batch that has ended."""
        ...

    async def forget(self, key: str, vendor_id: str) -> None:
        """What can be deleted is."""
        ...


class HostedBatches:
    """Asks one vendor in batches, with the keys that its models are asked with."""

    def __init__(self, prefix: str, vendor: Vendor, keys: KeyRing, wire: BatchWire) -> None:
        """Nothing is connected yet.

        Args:
            prefix: Of its model ids.
            vendor: Makes the models.
            keys: Of the accounts with it.
            wire: To its batches.
        """
        self._prefix = prefix
        self._vendor = vendor
        self._keys = keys
        self._wire = wire
        self._errors: tuple[type[Exception], ...] = (*CLIENT_ERRORS, *vendor.errors, *wire.errors)

    async def encode(self, request: ModelRequest) -> Encoded:
        """Return the question as it is sent."""
        key = (await self._keys.deal())[0]
        question = prepare(self._vendor, self._prefix, key, request)
        try:
            body, traits = await self._wire.encode(question)
        except self._errors as error:
            raise failure_of(error) from None
        common = {"key": _hash(key), "model": request.model, "traits": sorted(traits)}
        return Encoded(json.dumps(common, sort_keys=True), body)

    async def decode(
        self, answer: BatchAnswer, request: ModelRequest
    ) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer, Finished last; an error is raised as if it were asked directly."""
        key = (await self._keys.deal())[0]
        question = prepare(self._vendor, self._prefix, key, request)
        try:
            events = list(
                events_of_whole(await self._wire.decode(question, answer), question.memory)
            )
        except self._errors as error:
            raise failure_of(error) from None
        for event in events:
            yield event

    async def submit(self, batch_id: str, grouping: str, items: Sequence[tuple[str, str]]) -> str:
        """Return the vendor's id of the batch."""
        key, common = await self._key_of(grouping)
        return _checked(await self._told(self._wire.submit(key, batch_id, common, items)))

    async def find(self, sought: Sought) -> str | None:
        """Return the vendor's id of a batch that was made before, if it was."""
        key, _ = await self._key_of(sought.grouping)
        found = await self._told(self._wire.find(key, sought))
        return None if found is None else _checked(found)

    async def collect(self, grouping: str, vendor_id: str) -> dict[str, BatchAnswer] | None:
        """Return all answers, or none before the batch has ended."""
        key, common = await self._key_of(grouping)
        try:
            ended = await self._told(self._wire.ended(key, vendor_id))
        except ModelNotFound:
            if _hash(key) == common["key"]:
                raise
            # Of another account, perhaps.
            raise ModelUnavailable("The key that the batch was made with is gone.") from None
        if ended is None:
            return None
        try:
            return await self._told(self._wire.answers(key, ended))
        except ModelNotFound:
            raise ModelUnavailable("A batch has ended, but its answers are not there.") from None

    async def forget(self, grouping: str, vendor_id: str) -> None:
        """What can be deleted is deleted; what cannot, expires there."""
        key, _ = await self._key_of(grouping)
        try:
            await self._told(self._wire.forget(key, vendor_id))
        except AssistantsError:
            return

    async def _key_of(self, grouping: str) -> tuple[str, Mapping[str, Any]]:
        common = json.loads(grouping)
        keys = await self._keys.every()
        # One that is gone was replaced: by another of the same account, as a rule.
        return next((key for key in keys if _hash(key) == common["key"]), keys[0]), common

    async def _told(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except self._errors as error:
            meaning = _meaning_of(error)
            traits = traits_of(error) | {"status": _status_of(error)}
            _log.warning(BATCH_CALL_FAILED, provider=self._prefix, code=meaning.code, **traits)
            raise meaning from None


def _checked(vendor_id: str) -> str:
    """Return the id, as it is kept and stands in addresses."""
    if not _VENDOR_ID.fullmatch(vendor_id):
        raise ModelUnavailable("The provider gives its batch an id that is none.")
    return vendor_id


def _meaning_of(error: Exception) -> AssistantsError:
    status = _status_of(error)
    if status == _MISSING:
        return ModelNotFound("The provider has no such batch, or no batches.")
    if status == _TOO_MANY:
        return ModelRateLimited("The provider takes no further batch just now.")
    if 400 <= status < 500 and status not in _TRIED_AGAIN:  # noqa: PLR2004 - HTTP's classes
        return ModelRefused("The provider refuses the batch.")
    return ModelUnavailable("The provider failed, or could not be reached.")


def _status_of(error: Exception) -> int:
    answered: Any = getattr(error, "response", error)
    status = getattr(answered, "status_code", None)
    return status if isinstance(status, int) else 0


def _hash(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=16, person=b"batches").hexdigest()
