"""PostgreSQL servers for tests, and a fresh database for each test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.devkit import installation
from backend.devkit.postgres import Cluster
from backend.devkit.process import start_time
from backend.errors import LocalStackFailed
from backend.integrations.supabase import migrations
from tests.support.maintenance import Maintenance

PRELUDE = Path(__file__).parents[2] / "supabase" / "local" / "prelude.sql"
MAJORS = (15, 16, 18)
DEFAULT_MAJOR = int(os.environ.get("TEST_POSTGRES_MAJOR", "18"))
TEMPLATE = "template_project"

_FOLDER_PREFIX = "supa-test-"
# A test's data is thrown away, and statistics change only when a test says `analyze`.
_SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "synchronous_commit": "off",
}


class Database:
    """One test's database on a running server."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def url(self, role: str = "postgres") -> str:
        """Return a URL that logs in as this role, which gets a login if it has none."""
        if role not in {"postgres", "supabase_admin", "authenticator"}:
            self.cluster.execute(f"alter role {role} login")
            self.cluster.set_passwords(role)
        return self.cluster.url(role, self.name)

    def execute(self, sql: str) -> str:
        """Return what psql prints for these statements, run as the superuser."""
        return self.cluster.execute(sql, database=self.name)


class PreparedCluster:
    """A server with a template that holds the prelude and the migrations."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._maintenance = Maintenance(lambda: cluster.url("supabase_admin", "postgres"))

    def prepare(self) -> None:
        """The server runs and the template is whole."""
        self.cluster.start()
        self.cluster.execute(f"create database {TEMPLATE}")
        self.cluster.execute(PRELUDE.read_text(encoding="utf-8"), database=TEMPLATE)
        self.cluster.set_passwords("postgres", "authenticator")
        apply_migrations(self.cluster.url("postgres", TEMPLATE))

    @contextmanager
    def database(self, *, template: str = TEMPLATE) -> Iterator[Database]:
        """Yield a copy of the template; it is dropped afterwards, open connections or not."""
        name = next(self._names)
        # Copying files costs half of what writing them to the log does.
        self._maintenance.execute(
            f"create database {name} template {template} owner postgres strategy file_copy"
        )
        try:
            yield Database(self.cluster, name)
        finally:
            self._maintenance.execute(f"drop database {name} with (force)")

    def stop(self) -> None:
        """The server is gone."""
        self._maintenance.close()
        self.cluster.stop()


def apply_migrations(admin_url: str) -> None:
    """The database holds every migration of supabase/migrations."""
    # A thread of its own: this one may belong to a test's event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrations.apply(admin_url)).result()


class ClusterPool:
    """The servers of one test process, one for each major version that a test asked for."""

    def __init__(self) -> None:
        _remove_leftovers()
        prefix = f"{_FOLDER_PREFIX}{os.getpid()}-"
        self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
        # Root's server runs as another account, which has to get in.
        self._folder.chmod(0o711)
        self._clusters: dict[int, PreparedCluster] = {}

    def of(self, major: int) -> PreparedCluster:
        """Return the running server of that version."""
        if major not in self._clusters:
            require_postgres(major)
            data = self._folder / f"pg{major}"
            cluster = Cluster(data, major=major, settings=_SETTINGS, ends_with_parent=True)
            made = PreparedCluster(cluster)
            self._clusters[major] = made
            made.prepare()
        return self._clusters[major]

    def stop(self) -> None:
        """No server is left, nor any of their files."""
        for made in self._clusters.values():
            made.stop()
        shutil.rmtree(self._folder)


def require_postgres(major: int) -> None:
    """That version is installed, or the test is skipped; where CI is set it fails instead."""
    try:
        installation.find(major)
    except LocalStackFailed as error:
        missing(str(error))


def missing(what: str) -> None:
    """The test is skipped, loudly where CI is set: there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def _remove_leftovers() -> None:
    for folder in Path("/tmp").glob(f"{_FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(_FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and not start_time(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
