"""A release runs on the schema of a newer one: after its code was rolled back, or during a roll-out."""

from dataclasses import replace

import pytest

from backend.integrations.supabase import bundle, migrations
from tests.faults.scene import script
from tests.streams.conftest import StreamScene
from tests.support.cluster import Database, PreparedCluster
from tests.support.migrating import FIRST_SCHEMA, NEW, apply, bare_database, files
from tests.support.processes import until
from tests.support.service import ServiceProcess

# As the next release may add to what is there.
EXPANDING = replace(
    NEW,
    script="alter table public.messages add column trial text;"
    "alter table engine.runs add column trial integer not null default 0;"
    "create table engine.trials (id int);",
    rollback="drop table engine.trials; alter table engine.runs drop column trial;"
    "alter table public.messages drop column trial;",
)
# What callers lean on: functions by signature and columns by type, and who may use them.
_LEANED_ON = """
select 'function ' || p.oid::regprocedure || ' ' || r.role
from pg_proc p, (values ('assistants_engine'), ('authenticated')) as r (role)
where p.pronamespace in ('public'::regnamespace, 'engine'::regnamespace)
and has_function_privilege(r.role, p.oid, 'execute')
union all
select 'column ' || c.oid::regclass || '.' || a.attname || ' '
    || format_type(a.atttypid, a.atttypmod) || ' ' || v.privilege
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped,
    (values ('select'), ('insert'), ('update')) as v (privilege)
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
and has_column_privilege('authenticated', c.oid, a.attnum, v.privilege)
"""


async def readiness(service: ServiceProcess) -> dict[str, object]:
    async with service.client() as client:
        return dict((await client.get("/readyz")).json())


async def until_schema_is(service: ServiceProcess, wanted: bool) -> None:
    async def holds() -> bool:
        return (await readiness(service))["schema"] is wanted

    await until(holds)


async def test_a_service_and_its_worker_go_on_while_the_schema_grows_and_shrinks(
    scene: StreamScene, database: Database
) -> None:
    service = await scene.services.ready("--with-worker")
    session = await scene.ask(script(text="before"))
    await scene.until_idle()
    steps = [*bundle.migrations(), EXPANDING]

    await migrations.apply(database.url(), steps)
    await scene.reconnect()
    await scene.chat.ada.say(session, script(text="on the newer one"))
    await scene.until_idle()
    await until_schema_is(service, wanted=True)
    await migrations.back_to(database.url(), steps[-2].version, steps)
    await scene.reconnect()
    await scene.chat.ada.say(session, script(text="after"))
    await scene.until_idle()

    assert (await scene.chat.path(session))[1::2] == ["before", "on the newer one", "after"]
    await scene.assert_sound()


async def test_a_release_that_starts_on_a_newer_schema_is_ready(
    scene: StreamScene, database: Database
) -> None:
    await migrations.apply(database.url(), [*bundle.migrations(), EXPANDING])
    service = await scene.services.ready("--with-worker")

    await until_schema_is(service, wanted=True)
    session = await scene.ask(script(text="fine"))
    await scene.until_idle()

    assert (await scene.chat.path(session))[1] == "fine"


async def test_a_release_on_an_older_schema_is_not_ready_until_it_is_migrated(
    scene: StreamScene, database: Database
) -> None:
    await migrations.back_to(database.url(), FIRST_SCHEMA)
    service = await scene.services.ready()
    await until_schema_is(service, wanted=False)

    await migrations.apply(database.url())

    await until_schema_is(service, wanted=True)


async def test_a_projects_own_newer_migrations_do_not_hide_that_one_of_ours_is_missing(
    scene: StreamScene, database: Database
) -> None:
    newest = bundle.migrations()[-1].version
    database.execute(
        "insert into supabase_migrations.schema_migrations (version) values ('29990101000000')"
    )
    service = await scene.services.ready()
    await until_schema_is(service, wanted=True)

    database.execute(
        f"delete from supabase_migrations.schema_migrations where version = '{newest}'"
    )

    await until_schema_is(service, wanted=False)


async def test_a_schema_without_a_history_is_not_ready(
    scene: StreamScene, database: Database
) -> None:
    database.execute("drop schema supabase_migrations cascade")
    service = await scene.services.ready()

    assert (await readiness(service))["schema"] is False


@pytest.mark.parametrize("previous", [FIRST_SCHEMA])
def test_migrations_take_nothing_away_that_the_release_before_them_calls(
    cluster: PreparedCluster, database: Database, previous: str
) -> None:
    with bare_database(cluster) as older:
        apply(older, files(until=previous))
        before = set(older.execute(_LEANED_ON).splitlines())
    after = set(database.execute(_LEANED_ON).splitlines())

    assert len(before) > 50
    assert before - after == set()
