"""Questions that a provider answers later, many at a time, for less."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from backend.ports.models import ModelEvent, ModelRequest

AnswerState: TypeAlias = Literal["succeeded", "errored", "expired"]
"""Expired: the provider did not come to it, and wants nothing for it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A question in its provider's words."""

    grouping: str
    """What all questions of one batch have in common; no secret."""
    body: str = field(repr=False)
    """JSON."""


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What the provider made of one question."""

    state: AnswerState
    body: str | None = field(default=None, repr=False)
    """Its answer or its error, as JSON, in the form that `decode` takes."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A batch that may have been made, though nobody has noted its id."""

    batch_id: str
    """Ours."""
    grouping: str
    item_ids: frozenset[str]
    since_s: float
    """It was made no longer ago."""
    others: frozenset[str]
    """The provider's ids of batches that it is not."""


class BatchService(Protocol):
    """One provider's batches.

    All methods raise as those of LLMProvider. Where `submit` raises a Rejected or ModelRateLimited
    there is no batch; after anything else there may be one.
    """

    async def encode(self, request: ModelRequest) -> Encoded:
        """Return the question as it is sent.

        Raises:
            ModelRefused: The model has no such thing.
        """
        ...

    def decode(
        self, answer: BatchAnswer, request: ModelRequest
    ) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer, Finished last; an error is raised as if it were asked directly.

        Args:
            answer: Succeeded or errored.
            request: That was encoded.
        """
        ...

    async def submit(self, batch_id: str, grouping: str, items: Sequence[tuple[str, str]]) -> str:
        """Return the provider's id of the batch that is made of these ids and bodies."""
        ...

    async def find(self, sought: Sought) -> str | None:
        """Return the provider's id of the batch, or none where there is no such batch.

        Raises:
            BatchUndecided: That cannot be told yet.
        """
        ...

    async def collect(self, grouping: str, vendor_id: str) -> dict[str, BatchAnswer] | None:
        """Return all answers by the ids of their questions, or none while there are more to come.

        A question that has no answer was not made.

        Raises:
            ModelNotFound: The provider has no such batch, says the account that made it.
        """
        ...

    async def forget(self, grouping: str, vendor_id: str) -> None:
        """The provider keeps none of it, as far as it can be told so; raises nothing."""
        ...
