"""The uninstallation that docs/upgrade.md prints leaves nothing of ours."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.devkit.postgres import Cluster
from backend.errors import LocalStackFailed
from backend.integrations.supabase import migrations
from backend.integrations.supabase.service_role import create_service_role
from tests.docs.pages import ROOT, blocks
from tests.support.cluster import (
    DEFAULT_MAJOR,
    PRELUDE,
    Database,
    PreparedCluster,
    require_postgres,
)
from tests.support.migrating import FIRST_SCHEMA, bare_database
from tests.support.snapshots import catalogue_of

OBJECTS, ROLES = blocks(ROOT / "docs" / "upgrade.md", "sql")
ALL_ROLES = "select rolname from pg_roles order by 1"


@pytest.fixture
def project() -> Iterator[Database]:
    """Yield a project on a server of its own: roles belong to all databases of a server."""
    require_postgres(DEFAULT_MAJOR)
    with tempfile.TemporaryDirectory(prefix="supa-uninstall-", dir="/tmp") as name:
        # Root's server runs as another account, which has to get in.
        Path(name).chmod(0o711)
        cluster = Cluster(Path(name) / "data", major=DEFAULT_MAJOR, ends_with_parent=True)
        prepared = PreparedCluster(cluster)
        cluster.start()
        try:
            cluster.execute(PRELUDE.read_text(encoding="utf-8"))
            cluster.set_passwords("postgres", "authenticator")
            with bare_database(prepared) as database:
                yield database
        finally:
            prepared.stop()


def uninstall(database: Database) -> None:
    for script in (OBJECTS, ROLES):
        database.cluster.execute(script, database=database.name, role="postgres")


async def install(database: Database) -> None:
    await migrations.apply(database.url())
    await migrations.seed(database.url())
    await create_service_role(database.url())


async def test_after_it_nothing_of_ours_is_there_and_it_can_be_installed_again(
    project: Database,
) -> None:
    before = catalogue_of(project), project.execute(ALL_ROLES)
    await install(project)
    installed = catalogue_of(project), project.execute(ALL_ROLES)
    assert installed != before

    await migrations.back_to(project.url(), FIRST_SCHEMA)
    uninstall(project)

    assert (catalogue_of(project), project.execute(ALL_ROLES)) == before
    assert project.execute("select * from supabase_migrations.schema_migrations") == ""
    await install(project)
    assert (catalogue_of(project), project.execute(ALL_ROLES)) == installed


async def test_it_does_nothing_where_something_else_leans_on_our_tables(project: Database) -> None:
    await install(project)
    await migrations.back_to(project.url(), FIRST_SCHEMA)
    project.execute("create table public.theirs (session uuid references public.chat_sessions)")
    before = catalogue_of(project)

    with pytest.raises(LocalStackFailed, match="theirs"):
        uninstall(project)

    assert catalogue_of(project) == before
