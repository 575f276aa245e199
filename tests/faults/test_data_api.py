"""Workers that have a project's URL and key alone, and a Data API that goes away and comes back."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.faults.scene import SLOW, Scene, script
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.data_api import Project, is_served, open_project
from tests.support.processes import open_workshop


class ApiScene(Scene):
    """A project whose workers have no login."""

    project: Project


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[ApiScene]:
    """Yield the project; its processes end before its database is dropped."""
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        project = stack.enter_context(open_project(database))
        await is_served(project)
        workshop = stack.enter_context(open_workshop("", **project.environment))
        made = ApiScene(chat, workshop, stack)
        made.project = project
        yield made


async def test_runs_in_flight_outlive_a_data_api_that_is_killed(scene: ApiScene) -> None:
    for _ in range(5):
        await scene.ask(script(deltas=60, delay_ms=20), "and then?")
    worker = await scene.workshop.ready()
    await scene.until_streaming(5)
    scene.project.kill()
    scene.project.start()
    await scene.until_idle()
    assert worker.is_alive
    assert await scene.count("status = 'completed'") == 10
    await scene.assert_sound()


async def test_a_data_api_that_stands_still_longer_than_a_lease_costs_no_answer(
    scene: ApiScene,
) -> None:
    for _ in range(3):
        await scene.ask(SLOW, "and then?")
    worker = await scene.workshop.ready()
    await scene.until_streaming(3)
    scene.project.signal(signal.SIGSTOP)
    await scene.until_count("lease_until < clock_timestamp()", 3)
    scene.project.signal(signal.SIGCONT)
    await scene.until_idle()
    assert worker.is_alive
    assert await scene.count("status = 'completed'") == 6
    await scene.assert_sound()


async def test_runs_in_flight_outlive_a_restart_of_the_database_behind_it(
    scene: ApiScene, database: Database
) -> None:
    for _ in range(3):
        await scene.ask(script(deltas=60, delay_ms=20), "and then?")
    await scene.workshop.ready()
    await scene.until_streaming(3)
    database.cluster.restart()
    await scene.reconnect()
    # The local one may end with its database; in a stack its supervisor starts it again.
    scene.project.kill()
    scene.project.start()
    await scene.until_idle()
    assert await scene.count("status = 'completed'") == 6
    await scene.assert_sound()


async def test_a_cancellation_comes_with_the_heartbeat(scene: ApiScene) -> None:
    session = await scene.ask(script(deltas=10_000, delay_ms=20))
    await scene.workshop.ready()
    await scene.until_streaming()
    (run,) = await scene.chat.runs(session)
    await scene.chat.ada.cancel(run["id"])
    await scene.until_idle(within_s=20)
    assert await scene.outcomes() == [("incomplete", "cancelled", None)]
    await scene.assert_sound()


async def test_a_worker_started_before_the_data_api_waits_for_it(scene: ApiScene) -> None:
    await scene.ask("Hello")
    scene.project.kill()
    worker = await scene.workshop.ready()
    await scene.until_logged(worker, "step.failed")
    scene.project.start()
    await scene.until_idle()
    await scene.assert_sound()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "assistants migrate"),
        ({"SUPABASE_SECRET_KEY": "sb_secret_of_another"}, "SUPABASE_SECRET_KEY"),
    ],
    ids=["the functions are missing", "the key is wrong"],
)
async def test_a_worker_that_no_waiting_helps_says_why_and_ends(
    scene: ApiScene, settings: dict[str, str], said: str
) -> None:
    await scene.admin.execute("drop function public.service_readiness")
    scene.project.kill()
    scene.project.start()
    await is_served(scene.project)
    worker = scene.workshop.start(**settings)
    assert await worker.ended() == 1
    assert said in worker.log_text()
    assert "sb_secret" not in worker.log_text()
    assert "Traceback" not in worker.log_text()
