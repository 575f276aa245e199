"""An error into what happens to the run."""

from dataclasses import dataclass

from backend.errors import AssistantsError, InternalFailure, ModelPending, ModelUnavailable


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
    if isinstance(error, AssistantsError):
        after_s = getattr(error, "retry_after_s", None)
        is_turn = isinstance(error, ModelPending) or (
            isinstance(error, ModelUnavailable) and error.is_wait
        )
        return Failure(error.code, error.retryable, after_s, is_turn)
    return Failure(InternalFailure.code, InternalFailure.retryable)
