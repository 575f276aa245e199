"""One project with a Realtime for all tests, and Node.js."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broadcast.live import Live, open_live
from tests.support.node import node_tests

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    """Yield a project with one worker."""
    with open_live() as made:
        yield made


@pytest.fixture(scope="session")
def node() -> Callable[..., str]:
    """Return a function that runs the tests of a script and returns what they report."""

    def run(script: str, **facts: Any) -> str:
        return node_tests(HERE / script, **facts)

    return run
