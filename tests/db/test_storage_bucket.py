"""The bucket for attachments: what the file makes of a project, and what goes with its rollback."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cluster import MAJORS, Database
from tests.support.snapshots import catalogue_of

SUPABASE = Path(__file__).parents[2] / "supabase"
POLICIES = SUPABASE / "policies" / "storage" / "objects.sql"
ROLLBACK = SUPABASE / "rollbacks" / "20261121004400_add_attachments.sql"
_BUCKET = "select id, public, file_size_limit, allowed_mime_types from storage.buckets"
_ROWS = "select policyname from pg_policies where schemaname = 'storage' order by 1"
_NAMES = re.findall(r'create policy "(.*)" on', POLICIES.read_text(encoding="utf-8"))
_A_FILE = "insert into storage.objects (bucket_id, name) values ('attachments', 'a')"


def run(database: Database, file: Path) -> str:
    """Return what the owner of the project sees when the file is run."""
    script = file.read_text(encoding="utf-8")
    return database.cluster.execute(script, database=database.name, role="postgres")


def bare(database: Database) -> None:
    """The project has no bucket and no policy of ours."""
    for name in _NAMES:
        database.execute(f'drop policy "{name}" on storage.objects')
    database.execute(
        "update storage.buckets set id = 'x'; set storage.allow_delete_query = 'true';"
        " delete from storage.buckets"
    )


def test_a_migration_ships_the_file_word_for_word() -> None:
    (migration,) = (SUPABASE / "migrations").glob("*_add_attachments.sql")

    assert _without_timeouts(POLICIES) in _without_timeouts(migration)


@pytest.mark.parametrize("major", MAJORS)
def test_the_bucket_is_private_and_limited(
    database_of: Callable[[int], Database], major: int
) -> None:
    database = database_of(major)
    name, public, limit, types = database.execute(_BUCKET).split("|")

    assert (name, public, int(limit)) == ("attachments", "f", 20 * 2**20)
    assert "application/pdf" in types
    assert not re.search("html|svg|javascript|octet-stream|[*]", types)
    assert database.execute(_ROWS).splitlines() == sorted(_NAMES)


def test_the_file_applied_again_heals_a_drift_and_changes_nothing_else(database: Database) -> None:
    before = catalogue_of(database), database.execute(_BUCKET)
    database.execute(
        'alter policy "users read their own attachments" on storage.objects using (true)'
    )
    database.execute('drop policy "attachments never change" on storage.objects')
    assert catalogue_of(database) != before[0]

    run(database, POLICIES)

    assert (catalogue_of(database), database.execute(_BUCKET)) == before


def test_limits_that_somebody_has_set_stay(database: Database) -> None:
    database.execute("update storage.buckets set file_size_limit = 5, allowed_mime_types = null")

    run(database, POLICIES)

    name, public, limit, types = database.execute(_BUCKET).split("|")
    assert (name, public, limit) == ("attachments", "f", "5")
    assert "image/png" in types


def test_a_public_bucket_of_that_name_is_left_alone(database: Database) -> None:
    bare(database)
    database.execute(
        "insert into storage.buckets (id, name, public) values ('attachments', 'a', true)"
    )

    run(database, POLICIES)

    assert database.execute(_ROWS) == ""
    assert database.execute(_BUCKET) == "attachments|t||"


@pytest.mark.parametrize("table", ["objects", "buckets"])
def test_a_project_whose_platform_refuses_takes_the_file_all_the_same(
    database: Database, table: str
) -> None:
    bare(database)
    database.execute(f"alter table storage.{table} owner to supabase_admin")
    roles = "postgres, anon, authenticated, service_role"
    database.execute(f"revoke all on storage.{table} from {roles}")

    run(database, POLICIES)

    assert database.execute(_ROWS) == ""
    assert database.execute(_BUCKET) == ""


@pytest.mark.parametrize(
    "gone",
    [
        "drop schema storage cascade",
        "drop table storage.objects",
        "alter table storage.objects drop owner_id cascade",
    ],
)
def test_a_database_without_storage_takes_the_file_and_its_rollback(
    database: Database, gone: str
) -> None:
    database.execute(gone)

    run(database, POLICIES)
    run(database, ROLLBACK)


def test_the_rollback_leaves_neither_a_policy_nor_an_empty_bucket(database: Database) -> None:
    run(database, ROLLBACK)

    assert database.execute(_ROWS) == ""
    assert database.execute(_BUCKET) == ""


def test_the_rollback_deletes_no_file(database: Database) -> None:
    database.execute(_A_FILE)

    run(database, ROLLBACK)

    assert database.execute(_ROWS) == ""
    assert database.execute("select name from storage.objects") == "a"
    assert database.execute(_BUCKET).startswith("attachments|f|")


def test_the_rollback_deletes_no_bucket_that_something_else_refers_to(database: Database) -> None:
    database.execute("create table storage.uploads (bucket text references storage.buckets (id))")
    database.execute("insert into storage.uploads values ('attachments')")

    run(database, ROLLBACK)

    assert database.execute(_ROWS) == ""
    assert database.execute(_BUCKET).startswith("attachments|f|")


def _without_timeouts(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not re.match(r"set \w+_timeout", line)).strip()
