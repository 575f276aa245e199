"""An error into what happens to the run."""

from dataclasses import dataclass

from backend.errors import AssistantsError, InternalFailure


@dataclass(frozen=True, slots=True)
class Failure:
    """A code for the row, and whether another attempt may help."""

    code: str
    retryable: bool
    retry_after_s: float | None = None


def failure_of(error: Exception) -> Failure:
    """Return what the error means; one that nobody expected is a defect and tried again."""
    if isinstance(error, AssistantsError):
        return Failure(error.code, error.retryable, getattr(error, "retry_after_s", None))
    return Failure(InternalFailure.code, InternalFailure.retryable)
