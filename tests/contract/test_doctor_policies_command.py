"""`assistants doctor --policies` as its user runs it: by every way to the database, or by none."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.commands import assistants
from tests.contract.examining import READ, SEES
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.data_api import Project, is_served, open_project


@pytest_asyncio.fixture
async def project(chat: Chat) -> AsyncIterator[Project]:
    with open_project(chat.database) as made:
        await is_served(made)
        yield made


async def test_the_command_says_the_same_by_every_way_to_the_database(
    chat: Chat, project: Project, service_url: str
) -> None:
    owner = {"ADMIN_DATABASE_URL": chat.database.url()}
    ways = [owner, {"DATABASE_URL": service_url}, project.environment]
    for environment in ways:
        done = await assistants("doctor", "--policies", **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].startswith("ok    wall: ")

    chat.database.execute(f"alter policy {READ} on public.messages using (true)")

    for environment in ways:
        done = await assistants("doctor", "--policies", **environment)
        assert (done.returncode, done.stderr) == (1, "")
        last = done.stdout.splitlines()[-2:]
        assert last[0].startswith(f"FAIL  {SEES}: using is true, and should be (tenant_id")
        assert last[1] == "      Compare it with supabase/policies/messages.sql."


async def test_a_database_behind_this_release_is_told_to_migrate_first(database: Database) -> None:
    database.execute(
        "delete from supabase_migrations.schema_migrations where version > '20261121003300'"
    )

    done = await assistants("doctor", "--policies", ADMIN_DATABASE_URL=database.url())

    assert done.returncode == 1
    assert "assistants migrate" in done.stdout
    assert "wall" not in done.stdout


async def test_without_the_function_the_command_says_what_to_run(database: Database) -> None:
    database.execute(
        "drop function public.service_describe_wall; drop function engine.describe_wall"
    )

    done = await assistants("doctor", "--policies", ADMIN_DATABASE_URL=database.url())

    assert done.returncode == 1
    assert "Run `assistants migrate`." in done.stdout


async def test_it_stands_alone() -> None:
    done = await assistants("doctor", "--policies", "--token", "-")

    assert done.returncode == 2


async def test_without_any_way_to_a_database_the_variables_are_named() -> None:
    done = await assistants("doctor", "--policies", SUPABASE_URL="https://abc.supabase.co")

    assert done.returncode == 1
    assert "ADMIN_DATABASE_URL" in done.stderr
