"""A running stack, seen from a folder that looks like a checkout."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.processes import open_workshop
from tests.support.stack import Stack, running_stack

LIMIT_S = 120
_TOOLS = Path(sys.executable).parent


@dataclass(frozen=True)
class Checkout:
    """Where a reader stands who has just run `./scripts/up`."""

    folder: Path

    def run(self, *command: str, below: str = ".", typed: str) -> str:
        """Return what the command prints when this is typed into it.

        The tools of the virtual environment are on the path, as after `source …/activate`.
        """
        done = subprocess.run(
            command,
            cwd=self.folder / below,
            input=typed,
            env={
                **os.environ,
                "ASSISTANTS_DATA": str(self.folder / ".local"),
                "PATH": f"{_TOOLS}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="package")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Yield the folder; `.local` is a running stack's data, as in a real checkout."""
    with running_stack() as stack:
        yield checkout_of(tmp_path_factory.mktemp("checkout"), stack)


@pytest.fixture(scope="package")
def checkout_over_the_data_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Yield the folder of a stack whose one worker has the project's URL and secret key alone."""
    with running_stack(workers=0) as stack:
        known = {
            "SUPABASE_URL": stack.facts["supabase_url"],
            "SUPABASE_SECRET_KEY": stack.facts["secret_key"],
        }
        with open_workshop("", **known) as workshop:
            asyncio.run(workshop.ready())
            yield checkout_of(tmp_path_factory.mktemp("checkout"), stack)


def checkout_of(folder: Path, stack: Stack) -> Checkout:
    local = folder / "supabase" / "local"
    local.mkdir(parents=True)
    (folder / "web").symlink_to(ROOT / "web")
    (local / "node_modules").symlink_to(ROOT / "supabase" / "local" / "node_modules")
    (folder / ".local").symlink_to(stack.data)
    return Checkout(folder)
