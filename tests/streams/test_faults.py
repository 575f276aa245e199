"""Whatever is killed, frozen or restarted: readers end up with the stored words."""

import asyncio
import signal

import httpx
import pytest

from tests.faults.scene import SLOW, script
from tests.streams.conftest import StreamScene
from tests.support.proxy import slow_network
from tests.support.service import ServiceProcess
from tests.support.stream_reader import StreamReader, Transcript, until_ending

# One connection, and no claim on it: nothing but the flush is on its way when the network stops.
ALONE = {"DATABASE_POOL": "1", "WORKER_CONCURRENCY": "1"}


class Follower:
    """Reads to the end of a run, and comes back whenever it is cut off."""

    def __init__(self, *readers: StreamReader) -> None:
        self.readers = readers
        self.heard = Transcript()
        self.cuts: list[str] = []
        self.is_live = asyncio.Event()

    async def follow(self) -> Transcript:
        turn = 0
        while not self.heard.endings:
            try:
                await self._listen(self.readers[turn % len(self.readers)])
            except httpx.TransportError as error:
                self.cuts.append(type(error).__name__)
                await asyncio.sleep(0.05)
            turn += 1
        return self.heard

    async def _listen(self, reader: StreamReader) -> None:
        async with reader.open(self.heard.last_event_id) as frames:
            async for frame in until_ending(frames):
                self.heard.hear(frame)
                self.is_live.set()
                if frame.type == "stream.closed":
                    self.cuts.append(frame.event["reason"])


async def _following(
    scene: StreamScene, *services: ServiceProcess, text: str = SLOW
) -> tuple[Follower, asyncio.Task[Transcript]]:
    session = await scene.chat.ada.start_session()
    follower = Follower(*[await scene.reader(service, session) for service in services])
    task = scene.begin(follower.follow())
    await follower.is_live.wait()
    await scene.chat.ada.say(session, text)
    return follower, task


async def _assert_as_stored(scene: StreamScene, heard: Transcript) -> None:
    await scene.until_idle()
    await scene.assert_sound()
    session = await scene.admin.fetchval("select session_id from engine.runs")
    stored = await scene.texts(session)
    assert stored == {
        run: heard.texts.get(ending["message_id"], "") for run, ending in heard.endings.items()
    }


@pytest.mark.parametrize("harm", ["kill", "freeze"])
async def test_another_worker_begins_anew_and_readers_forget_what_the_first_one_said(
    scene: StreamScene, harm: str
) -> None:
    service = await scene.services.ready()
    first = await scene.workshop.ready()
    _, following = await _following(scene, service)
    await scene.until_streaming()
    getattr(first, harm)()
    await scene.workshop.ready()

    heard = await following
    first.thaw()

    assert any('"type":"message.discarded"' in raw for raw in heard.raw)
    await _assert_as_stored(scene, heard)


async def test_a_worker_frozen_during_a_flush_tells_no_reader_anything_twice(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready()
    async with slow_network(scene.workshop.database_url) as (url, network):
        frozen = await scene.workshop.ready(DATABASE_URL=url, **ALONE)
        _, following = await _following(scene, service, text=script(deltas=200, delay_ms=20))
        await scene.until_streaming()
        network.stop()
        await network.until_kept(b"word")
        frozen.freeze()
        # Its flush is stored now and was never announced; it cannot hear so.
        network.go_on()
        await scene.workshop.ready()
        await scene.until_count("fence = 2")
        frozen.thaw()

        heard = await following

        await scene.until_logged(frozen, "run.lost")
    await _assert_as_stored(scene, heard)


async def test_a_service_without_hints_reads_the_same_words(scene: StreamScene) -> None:
    service = await scene.services.ready(WORKER_LISTEN="off")
    await scene.workshop.ready()
    _, following = await _following(scene, service)

    await _assert_as_stored(scene, await following)


async def test_a_killed_service_costs_its_readers_a_reconnection(scene: StreamScene) -> None:
    first, second = await scene.services.ready(), await scene.services.ready()
    await scene.workshop.ready()
    follower, following = await _following(scene, first, second)
    await scene.until_streaming()
    first.kill()

    heard = await following

    assert follower.cuts
    await _assert_as_stored(scene, heard)


async def test_a_frozen_service_goes_on_where_it_stood(scene: StreamScene) -> None:
    service = await scene.services.ready()
    await scene.workshop.ready()
    follower, following = await _following(scene, service)
    await scene.until_streaming()
    service.freeze()
    await scene.until_idle()
    service.thaw()

    heard = await following

    assert follower.cuts == []
    await _assert_as_stored(scene, heard)


async def test_a_restarted_database_delays_the_words_and_loses_none(scene: StreamScene) -> None:
    service = await scene.services.ready()
    await scene.workshop.ready()
    _, following = await _following(scene, service)
    await scene.until_streaming()
    scene.chat.database.cluster.restart()
    await scene.reconnect()

    heard = await following

    await _assert_as_stored(scene, heard)


async def test_a_service_that_is_told_to_stop_says_so_to_its_readers_and_ends(
    scene: StreamScene,
) -> None:
    first, second = await scene.services.ready(), await scene.services.ready()
    await scene.workshop.ready()
    follower, following = await _following(scene, first, second)
    await scene.until_streaming()
    first.signal(signal.SIGTERM)

    assert await first.ended(within_s=10) == 0
    heard = await following

    assert follower.cuts == ["shutdown"]
    await _assert_as_stored(scene, heard)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        (script(deltas=2, fault={"kind": "fatal", "after": 1}), "run.failed"),
        (script(deltas=2, finish="length"), "run.incomplete"),
        (script(text=""), "run.completed"),
    ],
    ids=["failed", "cut short", "silent"],
)
async def test_every_run_has_a_state_at_its_beginning_and_at_its_end(
    scene: StreamScene, text: str, ending: str
) -> None:
    service = await scene.services.ready()
    await scene.workshop.ready()
    _, following = await _following(scene, service, text=text)

    heard = await following

    assert '"type":"run.started"' in heard.raw[0]
    assert [event["type"] for event in heard.endings.values()] == [ending]
    await _assert_as_stored(scene, heard)


async def test_a_run_that_is_cancelled_before_anybody_took_it_ends_on_the_stream(
    scene: StreamScene,
) -> None:
    service = await scene.services.ready()
    _, following = await _following(scene, service)
    run = await scene.admin.fetchval("select id from engine.runs")
    await scene.chat.ada.cancel(run)

    heard = await following

    assert [event["reason"] for event in heard.endings.values()] == ["cancelled"]
