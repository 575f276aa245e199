"""A stack without workers for each module, with a table that only these tests know."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devkit.exchange import grants, run_sql, wait_until_known
from tests.devkit.notes import NOTES
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="module")
def untouched_stack() -> Iterator[Stack]:
    """Yield a running stack that nobody has asked anything; nothing of it is left afterwards."""
    with running_stack(workers=0) as made:
        run_sql(made, NOTES)
        yield made


@pytest.fixture(scope="module")
def first_grants(untouched_stack: Stack) -> list[Any]:
    """Return who may do what before the first request."""
    return grants(untouched_stack)


@pytest.fixture(scope="module")
def stack(untouched_stack: Stack, first_grants: list[Any]) -> Stack:
    """Return a running stack whose Data API knows the table `notes`."""
    assert first_grants
    wait_until_known(untouched_stack, "notes")
    return untouched_stack
