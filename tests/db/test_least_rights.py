"""What the service's login, the secret key and visitors may do, to the last right: `rights/*.txt`.

A line that appears here was granted by somebody: whoever adds it to the file says that it is meant.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend.integrations.supabase.service_role import ROLE, create_service_role
from tests.support.cluster import MAJORS, Database, PreparedCluster
from tests.support.data_api import is_served, open_project
from tests.support.rights import everybodys, rights, standing

LISTS = Path(__file__).with_name("rights")
_NO_FUNCTION, _NO_TABLE, _NO_SCHEMA = "PGRST202", "PGRST205", "PGRST106"

_TABLES = {
    "assistants",
    "chat_sessions",
    "messages",
    "runs",
    "session_shares",
    "shared_assistants",
    "usage_by_day",
}
_ACTED = {"cancel_run", "read_stream", "regenerate", "search_messages", "submit_tool_outputs"}
_OF_VISITORS = {"read_shared_session"}
_OF_USERS = _ACTED | _OF_VISITORS | {"share_session"}
# What PostgREST puts into its description of the schema for a role: whatever it may use a part of.
_DESCRIBED = """
select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace
and c.relkind in ('r', 'v', 'm', 'f', 'p') and has_schema_privilege('{role}', 'public', 'usage')
and (has_table_privilege('{role}', c.oid, 'insert, select, update, delete')
    or has_any_column_privilege('{role}', c.oid, 'insert, select, update'))
union all
select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace
and has_schema_privilege('{role}', 'public', 'usage') and has_function_privilege('{role}', p.oid, 'execute')
"""


@pytest.fixture(scope="module")
def prepared(cluster: PreparedCluster) -> Iterator[Database]:
    with cluster.database() as database:
        yield database


def listed(name: str) -> set[str]:
    return set((LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("major", MAJORS)
async def test_the_services_login_may_do_what_is_listed_and_nothing_else(
    database_of: Callable[[int], Database], major: int
) -> None:
    database = database_of(major)
    await create_service_role(database.url())

    assert rights(database, ROLE) == listed(ROLE)


@pytest.mark.parametrize("major", MAJORS)
async def test_the_services_login_is_nobody_by_itself(
    database_of: Callable[[int], Database], major: int
) -> None:
    database = database_of(major)
    await create_service_role(database.url())

    # Before version 16 a member inherits: policies and `auth.jwt()` still stand before every row.
    as_a_user = "becomes" if major >= 16 else "inherits, becomes"
    assert standing(database, ROLE) == {
        "logs in",
        "member of assistants_engine, inherits, becomes",
        f"member of authenticated, {as_a_user}",
        "has set idle_in_transaction_session_timeout=10s",
        "has set lock_timeout=2s",
        "has set statement_timeout=10s",
    }


@pytest.mark.parametrize("role", ["service_role", "anon"])
@pytest.mark.parametrize("major", MAJORS)
def test_a_key_may_do_what_is_listed_and_nothing_else(
    database_of: Callable[[int], Database], major: int, role: str
) -> None:
    assert rights(database_of(major), role) == listed(role)


def test_of_ours_a_visitor_may_read_what_a_link_shows_and_nothing_else(prepared: Database) -> None:
    of_ours = {line for line in rights(prepared, "anon") if " public." in line or "engine" in line}

    assert of_ours == {
        "anon: function public.read_shared_session(text,integer,integer): execute",
        "anon: function engine.read_shared(text,integer,integer): execute",
    }


@pytest.mark.parametrize("major", MAJORS)
def test_what_everybody_may_do_is_listed_apart(
    database_of: Callable[[int], Database], major: int
) -> None:
    assert everybodys(database_of(major)) == listed("everybody")


@pytest.mark.parametrize(
    ("grant", "line"),
    [
        ("grant select on engine.settings to assistants_engine", "table engine.settings: select"),
        (
            "grant insert (position) on public.messages to assistants_service",
            "column public.messages.position: insert",
        ),
        ("grant create on schema engine to assistants_engine", "schema engine: create usage"),
        (
            "grant usage on sequence engine.message_positions to authenticated",
            "sequence engine.message_positions: usage",
        ),
        (
            "grant execute on function engine.promote to assistants_engine",
            "function engine.promote",
        ),
        ("grant set on parameter work_mem to assistants_engine", "setting work_mem: set"),
        ("grant pg_read_all_settings to assistants_engine", "pg_read_all_settings"),
        ("grant execute on function pg_read_file(text) to authenticated", "pg_read_file(text)"),
        ("grant select on pg_authid to assistants_engine", "table pg_authid: select"),
        ("create domain d as int; grant usage on type d to assistants_engine", "type public.d"),
        ("grant execute on function engine.purge to assistants_engine with grant option", "te*"),
        ("alter table engine.events owner to assistants_engine", "owns engine.events"),
        (
            "alter default privileges in schema engine grant select on tables to assistants_engine",
            "new objects of supabase_admin in engine, r: select",
        ),
    ],
)
async def test_one_right_more_would_be_seen(database: Database, grant: str, line: str) -> None:
    await create_service_role(database.url())
    try:
        database.execute(grant)
        more = rights(database, ROLE) - listed(ROLE)
        members = standing(database, "assistants_engine")
    finally:
        # Settings and memberships belong to the server, and outlive the database.
        database.execute("revoke set on parameter work_mem from assistants_engine")
        database.execute("revoke pg_read_all_settings from assistants_engine")

    assert any(line in it for it in more | members)


@pytest.mark.parametrize(
    ("role", "described"),
    [
        ("anon", _OF_VISITORS),
        ("authenticated", _TABLES | _OF_USERS),
        ("service_role", _TABLES),
    ],
)
def test_the_data_api_describes_what_is_meant_for_a_role(
    prepared: Database, role: str, described: set[str]
) -> None:
    shown = set(prepared.execute(_DESCRIBED.format(role=role)).splitlines())

    if role == "service_role":
        wrappers = {name for name in shown if name.startswith(("service_", "act_as_"))}
        assert {f"act_as_{name}" for name in _ACTED} <= wrappers
        shown -= wrappers
    assert shown == described


async def test_the_data_api_knows_nothing_of_the_engine(database: Database) -> None:
    internal = "relnamespace = 'engine'::regnamespace and relkind in ('r', 'v', 'S')"
    tables = database.execute(f"select relname from pg_class where {internal}").splitlines()
    functions = database.execute(
        "select distinct proname from pg_proc where pronamespace = 'engine'::regnamespace"
        " and proname not in (select proname from pg_proc"
        " where pronamespace = 'public'::regnamespace)"
    ).splitlines()
    assert len(tables) > 5
    assert len(functions) > 40

    with open_project(database) as project:
        await is_served(project)
        async with httpx.AsyncClient(base_url=f"{project.url}/rest/v1") as client:
            for key in (project.keys.secret_key, project.keys.publishable_key):
                client.headers["apikey"] = key
                for table in set(tables) - _TABLES:
                    assert (await client.get(f"/{table}")).json()["code"] == _NO_TABLE, table
                for function in functions:
                    answer = await client.post(f"/rpc/{function}", json={})
                    assert answer.json()["code"] == _NO_FUNCTION, function
                elsewhere = await client.get("/settings", headers={"accept-profile": "engine"})
                assert elsewhere.json()["code"] == _NO_SCHEMA
