"""A network that delivers a worker's words when another has its runs already."""

from uuid import UUID

from tests.faults.scene import Scene, script
from tests.support.processes import WorkerProcess, until
from tests.support.proxy import slow_network

ALONE = {"DATABASE_POOL": "1", "WORKER_CONCURRENCY": "1", "WORKER_LEASE_S": "60"}


async def test_a_finish_that_arrives_after_another_took_over_is_refused(scene: Scene) -> None:
    async with slow_network(scene.workshop.database_url) as (url, network):
        late = await _with_a_warm_connection(scene, url)
        session = await scene.ask(script(deltas=3, first_delay_ms=1500), "and then?")
        await _until_stored(scene, "run.started", session)
        network.stop()
        await network.until_kept(b"word1 word2")
        second = await _taken_over(scene)
        network.go_on()
        await scene.until_logged(late, "run.lost")
        await scene.until_idle()
        run = str((await scene.chat.runs(session))[0]["id"])
    assert _ended(late, run) == []
    assert _ended(second, run) == ["stored"]
    await scene.assert_sound()


async def test_a_flush_that_arrives_after_another_took_over_is_refused(scene: Scene) -> None:
    async with slow_network(scene.workshop.database_url) as (url, network):
        late = await _with_a_warm_connection(scene, url)
        session = await scene.ask(script(deltas=50, delay_ms=40))
        await _until_stored(scene, "message.delta", session)
        network.stop()
        await network.until_kept(b"word")
        await _taken_over(scene)
        network.go_on()
        await scene.until_logged(late, "run.lost")
        await scene.until_idle()
    await scene.assert_sound()


async def _with_a_warm_connection(scene: Scene, url: str) -> WorkerProcess:
    """Return a worker that has prepared its statements, so that it sends each in one piece."""
    worker = await scene.workshop.ready(DATABASE_URL=url, **ALONE)
    await scene.ask(script(deltas=10, delay_ms=20))
    await scene.until_idle()
    return worker


async def _taken_over(scene: Scene) -> WorkerProcess:
    """Return another worker, which holds the run by now."""
    await scene.chat.let_leases_expire()
    worker = await scene.workshop.ready()
    await scene.until_count("status = 'running' and fence = 2")
    return worker


async def _until_stored(scene: Scene, type_: str, session: UUID) -> None:
    async def holds() -> bool:
        sql = (
            "select count(*) from engine.events as e inner join engine.runs as r on r.id = e.run_id"
            " where e.type = $1 and r.session_id = $2"
        )
        return bool(await scene.admin.fetchval(sql, type_, session))

    await until(holds)


def _ended(worker: WorkerProcess, run: str) -> list[str]:
    return [entry["state"] for entry in worker.logged("run.ended") if entry["run_id"] == run]
