"""What an error means for the run that met it."""

import pytest

from backend.errors import (
    AssistantsError,
    ModelPending,
    ModelRateLimited,
    ModelResting,
    ModelUnavailable,
)
from backend.runs.failures import failure_of


@pytest.mark.parametrize(("told", "waited"), [(0.0, 1.0), (17.0, 17.0), (1e300, 300.0)])
@pytest.mark.parametrize("kind", [ModelUnavailable, ModelRateLimited])
def test_a_provider_says_when_to_come_back_within_bounds(
    kind: type[ModelUnavailable], told: float, waited: float
) -> None:
    assert failure_of(kind("It said so.", retry_after_s=told)).retry_after_s == waited


@pytest.mark.parametrize(
    "error",
    [
        ModelPending("In a batch."),
        ModelResting("Left alone.", retry_after_s=0.2),
        ModelRateLimited("At our limit.", retry_after_s=4000.0, has_turn=True),
    ],
)
def test_who_was_not_asked_is_waited_for_as_long_as_we_say(error: AssistantsError) -> None:
    failure = failure_of(error)
    assert failure.is_turn
    assert failure.retry_after_s == getattr(error, "retry_after_s", None)


def test_who_was_asked_and_failed_has_failed_whatever_it_says_of_later() -> None:
    assert not failure_of(ModelUnavailable("Down.", retry_after_s=3.0)).is_turn
    assert failure_of(ModelRateLimited("Too often.", retry_after_s=3.0)).is_turn
