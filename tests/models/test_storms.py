"""Two hundred runs on one key, and a provider that takes fewer: all are answered, none is a nuisance."""

from functools import partial
from typing import Any

import pytest

from tests.faults.scene import Scene
from tests.models.accounts import KEY
from tests.models.servers import Unreliable, unreliable_server
from tests.models.test_end_to_end import scene
from tests.support.processes import WorkerProcess, until

__all__ = ["scene"]
RUNS = 200


def start(scene: Scene, server: Unreliable, **settings: str) -> WorkerProcess:
    """Return a worker with the one key."""
    account = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url_of("openai")}
    return scene.workshop.start(**account, WORKER_LEASE_S="5", **settings)


async def ask(scene: Scene, count: int = RUNS) -> None:
    """So many users ask at once, each something else."""
    await scene.admin.execute(
        "with started as (insert into chat_sessions (user_id) select 'user_' || n"
        " from generate_series(1, $1::int) as n returning id)"
        " insert into messages (session_id, content)"
        " select id, jsonb_build_array(jsonb_build_object('type', 'text', 'text', 'How tall is ' || id))"
        " from started",
        count,
    )


async def assert_all_answered(scene: Scene, count: int = RUNS) -> None:
    rows = await scene.admin.fetch("select status, count(*) from engine.runs group by status")
    assert {row["status"]: row["count"] for row in rows} == {"completed": count}
    await scene.assert_sound()


async def assert_all_completed(scene: Scene, count: int = RUNS) -> None:
    await assert_all_answered(scene, count)
    assert await scene.count("failures > 0") == 0


async def has_spent(scene: Scene) -> bool:
    """Return whether the database has handed out all that there was."""
    return bool(await scene.admin.fetchval("select min(requests) < 1 from engine.rate_limits"))


def assert_clean(server: Unreliable, count: int = RUNS) -> list[dict[str, Any]]:
    """Return the requests; the mock has nothing to say against any of them."""
    verdict = server.verdict()
    assert verdict["findings"] == []
    assert verdict["calls"] == count
    return server.requests()


async def test_a_quota_that_nobody_told_us_of_is_found_by_its_refusals(scene: Scene) -> None:
    with unreliable_server(rpm=80) as server:
        await ask(scene, 100)
        for _ in range(2):
            start(scene, server)
        await scene.until_idle(within_s=240)
        await assert_all_completed(scene, 100)
        refused = [it for it in assert_clean(server, 100) if it["status"] == 429]
    assert 0 < len(refused) <= 100


async def test_a_storm_in_which_the_first_are_refused_is_waited_out(
    scene: Scene, unreliable: Unreliable
) -> None:
    unreliable.will({"type": "fail", "status": 429, "retry_after": 2, "times": 10})
    await ask(scene)
    for _ in range(2):
        start(scene, unreliable)
    await scene.until_idle(within_s=240)
    await assert_all_completed(scene)
    assert_clean(unreliable)


async def test_with_the_limit_set_nobody_is_refused(scene: Scene) -> None:
    with unreliable_server(rpm=1800) as server:
        await ask(scene)
        for _ in range(2):
            start(scene, server, MODEL_LIMITS="openai:*=1800rpm/100000000tpm")
        await scene.until_idle(within_s=240)
        await assert_all_completed(scene)
        assert {it["status"] for it in assert_clean(server)} == {200}
    hashes = await scene.admin.fetch("select distinct key_hash from engine.rate_limits")
    assert len(hashes) == 1


@pytest.mark.parametrize("frozen", [False, True])
async def test_a_worker_that_is_killed_with_a_slice_holds_nobody_up(
    scene: Scene, unreliable: Unreliable, *, frozen: bool
) -> None:
    limits = {"MODEL_LIMITS": "openai:*=120rpm"}
    unreliable.will({"type": "delay", "seconds": 60, "times": 20})
    await ask(scene, 20)
    held = start(scene, unreliable, **limits)
    # The whole six seconds' worth is in its hands.
    await scene.until_count("status = 'running'", 12)
    await until(partial(has_spent, scene))
    held.freeze() if frozen else held.kill()
    unreliable.reset()
    start(scene, unreliable, **limits)
    await scene.until_idle()
    held.thaw()
    await assert_all_answered(scene, 20)
