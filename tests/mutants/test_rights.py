"""Each right that is granted too much or lacks is noticed by a test."""

from collections.abc import Callable

import pytest

from tests.mutants.trial import Trial
from tests.mutants.verdicts import demand_deaths

# What a test leaves behind that fails half-way.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
KINDS = [
    "rights on tables",
    "rights on columns",
    "rights on schemas",
    "rights on functions",
    "rights of functions",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_mutant_dies(
    trial: Trial, kind: str, record_property: Callable[[str, object], None]
) -> None:
    await demand_deaths(trial, kind, record_property)
