"""Workers that stand still while another takes over: what they say afterwards is refused."""

from tests.faults.scene import SLOW, Scene, script
from tests.support.processes import UNHARMED
from tests.support.proxy import slow_network

# One connection, and no claim on it: nothing but the flush is on its way when the network stops.
ALONE = {"DATABASE_POOL": "1", "WORKER_CONCURRENCY": "1"}


async def test_a_frozen_worker_that_wakes_up_changes_nothing(scene: Scene) -> None:
    session = await scene.ask(SLOW, "and then?")
    frozen = await scene.workshop.ready()
    await scene.until_streaming()
    frozen.freeze()
    await scene.workshop.ready()
    await scene.until_count("fence = 2")
    await scene.until_idle()
    before = await scene.chat.messages(session)
    frozen.thaw()
    await scene.until_logged(frozen, "run.lost")
    assert await scene.chat.messages(session) == before
    await scene.assert_sound()


async def test_the_finish_of_a_worker_that_lost_its_run_is_refused(scene: Scene) -> None:
    await scene.ask(script(deltas=10, delay_ms=60), "and then?")
    frozen = await scene.workshop.ready(WORKER_LEASE_S="0.5")
    await scene.until_streaming()
    frozen.freeze()
    await scene.workshop.ready(**UNHARMED)
    await scene.until_count("fence = 2")
    # Awake again while the other one still works: both now try to finish the same run.
    frozen.thaw()
    await scene.until_idle()
    assert await scene.fences() == [2, 1]
    await scene.assert_sound()


async def test_a_worker_frozen_during_a_flush_leaves_no_gap_and_no_double(scene: Scene) -> None:
    async with slow_network(scene.workshop.database_url) as (url, network):
        frozen = await scene.workshop.ready(DATABASE_URL=url, **ALONE)
        await scene.ask(script(deltas=200, delay_ms=20))
        await scene.until_streaming()
        network.stop()
        await network.until_kept(b"word")
        frozen.freeze()
        # Its flush is stored now, but it cannot hear so.
        network.go_on()
        await scene.workshop.ready()
        await scene.until_count("fence = 2")
        frozen.thaw()
        await scene.until_idle()
        await scene.until_logged(frozen, "run.lost")
    await scene.assert_sound()
