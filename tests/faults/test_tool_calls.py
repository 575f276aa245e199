"""Calls of the service's own tools, while their workers die: what is done is not done again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.gate import Gate, open_gate
from tests.faults.scene import BOTH_WAYS, Scene, script
from tests.support.oracles import text_of
from tests.support.processes import UNHARMED, WorkerProcess, until

NAMES = ("first", "second", "third")
THREE = script(tool_calls=[[{"name": name} for name in NAMES]], text="A moment.")


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path / "gate") as gate:
        yield gate


class Stage:
    """A project with an assistant that has the gated tools, and workers that offer them."""

    def __init__(self, scene: Scene, path: Path) -> None:
        self._scene = scene
        self._settings = {"TOOLS_MODULES": "tests.faults.gated_tools", "GATE": str(path)}

    async def ask(self, text: str, *names: str) -> None:
        tools = [{"type": "function", "function": {"name": name}} for name in names]
        await self._scene.admin.execute("update public.assistants set tools = $1", tools)
        await self._scene.ask(text)

    async def worker(self) -> WorkerProcess:
        return await self._scene.workshop.ready(**self._settings, **UNHARMED)

    async def doomed(self) -> WorkerProcess:
        return await self._scene.workshop.ready(**self._settings, WORKER_LEASE_S="2")

    async def until_done(self, count: int) -> None:
        async def holds() -> bool:
            sql = "select count(*) from engine.run_steps where status <> 'in_progress'"
            return bool(await self._scene.admin.fetchval(sql) == count)

        await until(holds, 30)


@pytest.fixture
def stage(scene: Scene, tmp_path: Path) -> Stage:
    return Stage(scene, tmp_path / "gate")


@BOTH_WAYS
@pytest.mark.parametrize("done", range(4))
async def test_three_calls_outlive_a_kill_and_none_that_was_done_is_made_again(
    scene: Scene, stage: Stage, gate: Gate, done: int
) -> None:
    await stage.ask(THREE, *NAMES)
    doomed = await stage.doomed()
    await gate.until_knocked(*NAMES)
    gate.let_through(*NAMES[:done])
    await stage.until_done(done)
    doomed.kill()

    await stage.worker()
    await gate.until_knocked(*NAMES, *NAMES[done:])
    gate.let_through(*NAMES)
    await scene.until_idle()

    assert sorted(name for name, _ in gate.knocks) == sorted([*NAMES, *NAMES[done:]])
    assert len(set(gate.knocks)) == 3, "a call that is made again has the key of before"
    outcome = await scene.admin.fetchrow(
        "select * from public.messages where run_id is not null and ordinal is null"
    )
    results = [it["output"] for it in outcome["content"] if it["type"] == "tool_result"]
    assert results == [f"{name} is done" for name in NAMES]
    assert outcome["status"] == "completed"
    await scene.assert_sound()


async def test_each_kill_between_two_calls_of_three_costs_only_what_was_under_way(
    scene: Scene, stage: Stage, gate: Gate
) -> None:
    await stage.ask(THREE, *NAMES)
    for done in range(1, 4):
        doomed = await stage.doomed()
        await gate.until_knocked(*NAMES[done - 1 :])
        gate.let_through(NAMES[done - 1])
        await stage.until_done(done)
        doomed.kill()

    await stage.worker()
    await scene.until_idle()

    made = [name for name, _ in gate.knocks]
    assert [made.count(name) for name in NAMES] == [1, 2, 3]
    assert len(set(gate.knocks)) == 3
    assert await scene.count("status = 'completed'") == 1
    await scene.assert_sound()


async def test_a_call_that_must_not_be_made_twice_is_told_as_interrupted(
    scene: Scene, stage: Stage, gate: Gate
) -> None:
    await stage.ask(
        script(tool_calls=[[{"name": "only_once"}, {"name": "first"}]]), "only_once", "first"
    )
    doomed = await stage.doomed()
    await gate.until_knocked("first", "only_once")
    doomed.kill()

    gate.let_through("first", "only_once")
    await stage.worker()
    await scene.until_idle()

    assert sorted(name for name, _ in gate.knocks) == ["first", "first", "only_once"]
    outcome = await scene.admin.fetchrow(
        "select * from public.messages where run_id is not null and ordinal is null"
    )
    told, other = (it for it in outcome["content"] if it["type"] == "tool_result")
    assert (told["output"]["error"], told["is_error"]) == ("interrupted", True)
    assert other["output"] == "first is done"
    assert "only_once returned" in text_of(outcome)
    await scene.assert_sound()


async def test_a_worker_that_drains_keeps_what_is_done_and_gives_the_rest_back(
    scene: Scene, stage: Stage, gate: Gate
) -> None:
    await stage.ask(THREE, *NAMES)
    draining = await stage.worker()
    await gate.until_knocked(*NAMES)
    gate.let_through("second")
    await stage.until_done(1)
    draining.ask_to_stop()
    await scene.until_logged(draining, "worker.stopping")
    draining.ask_to_stop()
    await draining.ended()
    gate.let_through(*NAMES)
    await stage.worker()
    await scene.until_idle()

    made = [name for name, _ in gate.knocks]
    assert [made.count(name) for name in NAMES] == [2, 1, 2]
    assert await scene.count("failures = 0 and status = 'completed'") == 1
    await scene.assert_sound()


async def test_a_cancelled_run_does_not_wait_for_its_tools(
    scene: Scene, stage: Stage, gate: Gate
) -> None:
    await stage.ask(THREE, *NAMES)
    await stage.worker()
    await gate.until_knocked(*NAMES)
    run = await scene.admin.fetchval("select id from engine.runs")
    await scene.chat.ada.cancel(run)
    await scene.until_idle()

    assert await scene.outcomes() == [("incomplete", "cancelled", None)]
    await scene.assert_sound()


async def test_tools_that_this_release_does_not_have_are_told_once_for_each_assistant(
    scene: Scene,
) -> None:
    later = [{"type": "file_search"}, {"type": "code_interpreter"}]
    mine = await scene.chat.ada.insert("assistants", name="Mine", tools=later)
    other = await scene.chat.ada.insert("assistants", name="Other", tools=later[:1])
    for assistant in (mine, mine, other):
        await scene.ask("Hello", assistant_id=assistant["id"])
    await scene.ask("Hello")
    worker = await scene.workshop.ready()
    await scene.until_idle()

    told = [(it["assistant_id"], it["kinds"]) for it in worker.logged("tool.left_out")]
    assert sorted(told) == sorted(
        [
            (str(mine["id"]), ["code_interpreter", "file_search"]),
            (str(other["id"]), ["file_search"]),
        ]
    )
    assert await scene.outcomes() == [("completed", None, None)] * 4
