"""Whatever a migration does is undone by its rollback, and nothing is rolled back by halves."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.errors import MigrationRefused
from backend.integrations.supabase import bundle, migrations
from backend.integrations.supabase.bundle import Migration
from tests.support.chat import Chat
from tests.support.cluster import MAJORS, ClusterPool, Database
from tests.support.identities import ADA
from tests.support.migrating import FIRST_SCHEMA, NEW, apply, bare_database, files
from tests.support.snapshots import catalogue_of

UNDOABLE = replace(NEW, rollback="drop table public.trial;")
NEWER = Migration("29990101000001", "add_more", "create table public.more ()", "drop table more")


def newest_of(steps: list[Migration]) -> str:
    return max(step.version for step in steps)


OURS = newest_of(bundle.migrations())


async def applied(database: Database, *extra: Migration) -> list[str]:
    return await migrations.apply(database.url(), [*bundle.migrations(), *extra])


async def back_to(database: Database, version: str, *extra: Migration) -> list[str]:
    return await migrations.back_to(database.url(), version, [*bundle.migrations(), *extra])


def history_of(database: Database) -> list[str]:
    sql = "select version from supabase_migrations.schema_migrations order by 1"
    return database.execute(sql).splitlines()


@pytest.mark.parametrize("major", MAJORS)
async def test_each_rollback_leaves_what_was_there_before_its_migration(
    clusters: ClusterPool, database_of: Callable[[int], Database], major: int
) -> None:
    database = database_of(major)
    undoable = [step.version for step in bundle.migrations() if step.version > FIRST_SCHEMA]
    before = {}
    with bare_database(clusters.of(major)) as growing:
        apply(growing, files(until=FIRST_SCHEMA))
        for version in undoable:
            before[version] = catalogue_of(growing)
            apply(growing, files(until=version))
        whole = catalogue_of(growing)
    assert catalogue_of(database) == whole

    assert undoable
    for version in reversed(undoable):
        previous = newest_of([it for it in bundle.migrations() if it.version < version])
        assert await back_to(database, previous) == [version]
        assert _changes(before[version], catalogue_of(database)) == []

    assert await applied(database) == undoable
    assert catalogue_of(database) == whole


async def test_a_conversation_outlives_the_way_back_and_forth(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "M1")
    await chat.worker.finish(await chat.worker.claim_one(), "R1")

    await back_to(chat.database, FIRST_SCHEMA)
    await chat.browser(ADA).say(session, "M2")
    await applied(chat.database)
    await chat.worker.finish(await chat.worker.claim_one(), "R2")

    assert await chat.path(session) == ["M1", "R1", "M2", "R2"]


async def test_what_could_allow_no_model_is_gone_from_the_list_of_an_older_release(
    chat: Chat,
) -> None:
    await back_to(chat.database, FIRST_SCHEMA)
    await chat.configure(user_models=["foo bar", "openai:gpt-5", None, "gpt-4", "mistral:*"])

    await applied(chat.database)

    kept = await chat.admin.fetchval("select user_models from engine.settings")
    assert kept == ["openai:gpt-5", "mistral:*"]


async def test_the_first_schema_has_no_way_back(database: Database) -> None:
    before = catalogue_of(database), history_of(database)

    with pytest.raises(MigrationRefused, match=rf"{FIRST_SCHEMA}\w*\.sql has no rollback"):
        await back_to(database, "20261121001340")

    assert (catalogue_of(database), history_of(database)) == before


async def test_one_step_without_a_rollback_keeps_all_newer_ones_too(database: Database) -> None:
    await applied(database, NEW, NEWER)

    with pytest.raises(MigrationRefused, match=r"add_trial\.sql has no rollback"):
        await back_to(database, OURS, NEW, NEWER)

    assert database.execute("select to_regclass('public.more')") == "more"


async def test_the_newest_first_and_each_with_its_row(database: Database) -> None:
    before = history_of(database)
    await applied(database, UNDOABLE, NEWER)

    assert await back_to(database, OURS, UNDOABLE, NEWER) == [NEWER.version, NEW.version]

    assert history_of(database) == before
    assert await back_to(database, OURS, UNDOABLE, NEWER) == []


async def test_a_rollback_that_fails_leaves_its_step_whole_and_is_named(database: Database) -> None:
    broken = replace(UNDOABLE, rollback="drop table public.trial; select nix;")
    await applied(database, broken, NEWER)

    with pytest.raises(MigrationRefused, match=r"rollbacks/29990101000000_add_trial\.sql.*nix"):
        await back_to(database, OURS, broken, NEWER)

    assert history_of(database)[-1] == NEW.version
    assert database.execute("select to_regclass('public.trial')") == "trial"


async def test_what_somebody_built_on_it_is_not_dropped_along(database: Database) -> None:
    await applied(database, UNDOABLE)
    database.execute("create view public.theirs as select * from public.trial")

    with pytest.raises(MigrationRefused, match="depend"):
        await back_to(database, OURS, UNDOABLE)

    assert history_of(database)[-1] == NEW.version


@pytest.mark.parametrize("version", ["20261121002311", "nonsense", ""])
async def test_a_version_that_does_not_exist_is_refused(database: Database, version: str) -> None:
    with pytest.raises(MigrationRefused, match="no migration of this release"):
        await back_to(database, version)


async def test_a_version_that_is_not_applied_is_refused(database: Database) -> None:
    with pytest.raises(MigrationRefused, match="not applied"):
        await back_to(database, NEW.version, UNDOABLE)


async def test_an_older_release_does_not_roll_back_what_it_does_not_know(
    database: Database,
) -> None:
    await applied(database, UNDOABLE)

    with pytest.raises(MigrationRefused, match="newer than this release"):
        await back_to(database, FIRST_SCHEMA)

    assert history_of(database)[-1] == NEW.version


async def test_a_file_that_was_changed_after_it_was_applied_is_not_rolled_back(
    database: Database,
) -> None:
    await applied(database, UNDOABLE)
    changed = replace(UNDOABLE, script="create table public.trial (id bigint)")

    with pytest.raises(MigrationRefused, match="changed"):
        await back_to(database, OURS, changed)


async def test_runs_at_the_same_time_roll_back_once(database: Database) -> None:
    await applied(database, UNDOABLE)

    done = await asyncio.gather(*(back_to(database, OURS, UNDOABLE) for _ in range(4)))

    assert sorted(done) == [[], [], [], [NEW.version]]


async def test_runs_in_both_directions_leave_a_history_without_gaps(database: Database) -> None:
    steps = [*bundle.migrations(), UNDOABLE, NEWER]

    for _ in range(5):
        ended = await asyncio.gather(
            migrations.apply(database.url(), steps),
            migrations.back_to(database.url(), FIRST_SCHEMA, steps),
            migrations.apply(database.url(), steps),
            return_exceptions=True,
        )
        assert all(isinstance(it, list | MigrationRefused) for it in ended), ended
        there = history_of(database)
        assert there == [step.version for step in steps][: len(there)]
        for step, table in ((UNDOABLE, "trial"), (NEWER, "more")):
            found = database.execute(f"select to_regclass('public.{table}')")
            assert bool(found) == (step.version in there)


def _changes(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    return [row for part in before for row in {*before[part]} ^ {*after[part]}]
