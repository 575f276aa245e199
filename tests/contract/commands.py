"""A command of `assistants`, as somebody runs it, with nothing in its environment but what is given."""

import asyncio
import os
import subprocess
import sys

from tests.support.processes import ROOT


async def assistants(
    *arguments: str, typed: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Return how the command ended, and all that it printed."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "backend.cli", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LOG_FOLDER": "", **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return await asyncio.to_thread(run)
