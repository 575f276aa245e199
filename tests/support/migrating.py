"""Databases without our schema, and `assistants migrate` as somebody runs it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from backend.integrations.supabase import bundle, migrations
from backend.integrations.supabase.bundle import Migration
from tests.support.cluster import PRELUDE, Database, PreparedCluster
from tests.support.processes import ROOT

FIRST_SCHEMA = "20261121002310"
"""The newest migration of the product's first schema: what is newer can be rolled back."""
NEW = Migration("29990101000000", "add_trial", "create table public.trial (id int);\nselect 1;\n")


@contextmanager
def bare_database(cluster: PreparedCluster) -> Iterator[Database]:
    """Yield a project as the platform hands it over, without a migration."""
    with cluster.database(template="template0") as made:
        made.execute(PRELUDE.read_text(encoding="utf-8"))
        yield made


def files(*, until: str) -> list[Migration]:
    """Return our migrations up to this version."""
    return [step for step in bundle.migrations() if step.version <= until]


def apply(database: Database, steps: list[Migration]) -> list[str]:
    """Return what was applied now."""
    # A thread of its own: this one may belong to a test's event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, migrations.apply(database.url(), steps)).result()


def migrate(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Return how `assistants migrate` ended."""
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", "migrate", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ADMIN_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
