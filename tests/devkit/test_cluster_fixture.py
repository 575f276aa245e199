"""What every other test relies on: a database of one's own, as a Supabase project has it."""

from collections.abc import Callable

import pytest

from tests.support.cluster import MAJORS, PRELUDE, Database, PreparedCluster

OpenDatabase = Callable[[int], Database]


@pytest.mark.parametrize("major", MAJORS)
def test_each_version_starts_with_what_a_supabase_project_has(
    database_of: OpenDatabase, major: int
) -> None:
    database = database_of(major)

    # Applied at each start of a local stack, so a second time here.
    database.execute(PRELUDE.read_text(encoding="utf-8"))

    assert database.execute("show server_version_num").startswith(str(major))
    assert database.execute("set role authenticated; select auth.jwt() is null") == "t"


def test_what_one_test_writes_another_does_not_see(cluster: PreparedCluster) -> None:
    with cluster.database() as one, cluster.database() as other:
        one.execute("create table public.written (id int)")

        assert other.execute("select to_regclass('public.written') is null") == "t"


def test_the_owner_of_a_project_is_no_superuser(database: Database) -> None:
    attributes = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    query = f"select {attributes} from pg_roles where rolname = 'postgres'"

    assert database.execute(query) == "f|t|t|t|t"


def test_nothing_is_granted_on_a_new_table(database: Database) -> None:
    granted = database.cluster.execute(
        "create table public.bare (id int);"
        "select count(*) from information_schema.role_table_grants"
        " where table_name = 'bare' and grantee <> 'postgres'",
        database=database.name,
        role="postgres",
    )

    assert granted == "0"


def test_a_broadcast_is_stored_with_an_id_and_never_fails_its_caller(database: Database) -> None:
    database.execute("select realtime.send('{\"a\": 1}', 'told', 'chat:1')")
    database.execute("select realtime.send('{}', 'told', null)")

    stored = "select payload ? 'id', payload -> 'a', event, topic, private from realtime.messages"
    assert database.execute(stored) == "t|1|told|chat:1|t"
