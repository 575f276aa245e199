"""A stack without workers for each module, with a table that only these tests know."""

from collections.abc import Iterator

import pytest

from tests.devkit.exchange import run_sql, wait_until_known
from tests.devkit.notes import NOTES
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Yield a running stack; nothing of it is left afterwards."""
    with running_stack(workers=0) as made:
        run_sql(made, NOTES)
        wait_until_known(made, "notes")
        yield made
