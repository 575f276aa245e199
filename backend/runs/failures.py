"""An error into what happens to the run."""

from dataclasses import dataclass

from backend.errors import (
    AssistantsError,
    InternalFailure,
    ModelPending,
    ModelResting,
    ModelUnavailable,
)

_LEAST_WAIT_S = 1.0
_MOST_WAIT_S = 300.0
"""Half of the time that a run has: it is tried again before that has passed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A code for the row, and whether another attempt may help."""

    code: str
    retryable: bool
    retry_after_s: float | None = None
    is_turn: bool = False
    """Nothing has failed: the run only has to wait until its model may be asked again."""


def failure_of(error: Exception) -> Failure:
    """Return what the error means; one that nobody expected is a defect and tried again."""
    if not isinstance(error, AssistantsError):
        return Failure(InternalFailure.code, InternalFailure.retryable)
    is_turn = isinstance(error, ModelPending) or (
        isinstance(error, ModelUnavailable) and error.is_wait
    )
    return Failure(error.code, error.retryable, _wait_s(error), is_turn)


def _wait_s(error: AssistantsError) -> float | None:
    """Return what was asked for, within bounds where somebody else asked for it."""
    told: float | None = getattr(error, "retry_after_s", None)
    is_ours = isinstance(error, ModelResting) or getattr(error, "has_turn", False)
    if told is None or is_ours:
        return told
    return min(max(told, _LEAST_WAIT_S), _MOST_WAIT_S)
