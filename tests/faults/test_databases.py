"""The database goes away and comes back."""

from tests.faults.scene import Scene, script
from tests.support.cluster import Database


async def test_runs_in_flight_outlive_a_restart_of_the_database(
    scene: Scene, database: Database
) -> None:
    for _ in range(5):
        await scene.ask(script(deltas=60, delay_ms=20), "and then?")
    worker = await scene.workshop.ready()
    await scene.until_streaming(5)
    database.cluster.restart()
    await scene.reconnect()
    await scene.ask("and now?")
    await scene.until_idle()
    assert worker.is_alive
    assert await scene.count("status = 'completed'") == 11
    await scene.assert_sound()


async def test_a_worker_started_before_its_database_waits_for_it(
    scene: Scene, database: Database
) -> None:
    await scene.ask("Hello")
    database.cluster.stop()
    worker = scene.workshop.start()
    await scene.until_logged(worker, "wakeups.listening_lost")
    database.cluster.start()
    await scene.reconnect()
    await scene.until_idle()
    await scene.assert_sound()


async def test_cut_connections_cost_no_answer(scene: Scene) -> None:
    for _ in range(5):
        await scene.ask(script(deltas=60, delay_ms=20))
    await scene.workshop.ready(WORKER_LEASE_S="3")
    await scene.until_streaming(5)
    for _ in range(5):
        await scene.admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'assistants_service'"
        )
    await scene.until_idle()
    # Quick enough for the leases: nobody had to start again.
    assert await scene.fences() == [1] * 5
    await scene.assert_sound()
