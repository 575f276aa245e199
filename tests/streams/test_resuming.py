"""A stream that is cut anywhere and resumed anywhere else is the stream that was never cut."""

import asyncio
import json
from contextlib import aclosing
from uuid import UUID

from tests.faults.scene import BOTH_WAYS, script
from tests.streams.conftest import StreamScene
from tests.support.chat import Chat
from tests.support.stream_reader import StreamReader, Transcript, until_ending

pytestmark = BOTH_WAYS

WORDS = script(deltas=40, delay_ms=30, text="über 😀 \n\r\n data: x\u2028 id: 7")


async def _tell(chat: Chat, session: UUID) -> None:
    """A story of three runs: one that is retried after its words were seen, one with a tool."""
    tools = [{"type": "function", "function": {"name": "draw_card"}}]
    await chat.admin.execute("update public.assistants set tools = $1", tools)
    await chat.ada.say(
        session, script(deltas=3, delay_ms=60, fault={"kind": "retryable", "after": 2})
    )
    await chat.ada.say(session, script(calls=[{"name": "draw_card"}], text="So:"))
    await chat.ada.say(session, script(text="one\ntwo"))


async def _submit(scene: StreamScene, session: UUID) -> None:
    await scene.until_count("status = 'requires_action'")
    run = await scene.admin.fetchval(
        "select id from engine.runs where status = 'requires_action' and session_id = $1", session
    )
    await scene.chat.ada.submit(run, [{"call_id": "call_1_1", "output": 6}])


async def test_a_stream_cut_at_every_event_is_resumed_byte_by_byte_at_another_process(
    scene: StreamScene,
) -> None:
    first, second = scene.services.start(), scene.services.start()
    await scene.workshop.ready()
    await first.ready()
    await second.ready()
    session = await scene.chat.ada.start_session()
    readers = [await scene.reader(service, session) for service in (first, second)]
    whole = Transcript()
    async with readers[0].open() as frames:
        await _tell(scene.chat, session)
        await _submit(scene, session)
        async for frame in until_ending(frames, 3):
            whole.hear(frame)

    assert await scene.texts(session) == {
        run: whole.texts.get(ending["message_id"], "") for run, ending in whole.endings.items()
    }
    kinds = [json.loads(raw.split("data: ")[1])["type"] for raw in whole.raw]
    assert {"run.started", "message.delta", "message.discarded", "run.requires_action"} <= {*kinds}
    start = f"{json.loads(whole.raw[0].split('data: ')[1])['run_id']}:0"
    for cut in range(len(whole.raw)):
        torn = Transcript(last_event_id=start)
        await _hear(readers[cut % 2], torn, cut)
        await _hear(readers[1 - cut % 2], torn, len(whole.raw) - cut)
        assert torn.raw == whole.raw, cut


async def _hear(reader: StreamReader, transcript: Transcript, events: int) -> None:
    """Hear so many events, then hang up."""
    wanted = len(transcript.raw) + events
    async with reader.open(transcript.last_event_id) as frames, aclosing(frames):  # type: ignore[type-var]
        while len(transcript.raw) < wanted:
            transcript.hear(await anext(frames))


async def test_readers_that_hang_up_after_every_event_lose_no_word_while_it_is_said(
    scene: StreamScene,
) -> None:
    services = [scene.services.start(), scene.services.start()]
    await scene.workshop.ready()
    session = await scene.chat.ada.start_session()
    readers = [await scene.reader(await service.ready(), session) for service in services]
    steady, torn = Transcript(), Transcript()

    async def read_on() -> None:
        async with readers[0].open() as frames:
            asyncio.get_running_loop().call_soon(started.set)
            async for frame in until_ending(frames):
                steady.hear(frame)

    started = asyncio.Event()
    reading = asyncio.create_task(read_on())
    await started.wait()
    await scene.chat.ada.say(session, WORDS)
    await scene.until_streaming()
    turn = 0
    while not torn.endings:
        turn += 1
        await _hear(readers[turn % 2], torn, 1)
    await reading

    assert torn.raw == steady.raw
    assert len(torn.raw) > 5
    (words,) = (await scene.texts(session)).values()
    assert list(torn.texts.values()) == [words]


async def test_a_reader_that_comes_late_gets_all_that_was_said(scene: StreamScene) -> None:
    await scene.workshop.ready()
    session = await scene.chat.ada.start_session()
    quiet = (await scene.chat.ada.read_stream(session))["last_event_id"]
    await scene.chat.ada.say(session, script(text="said while no service was up"))
    await scene.until_idle()

    service = await scene.services.ready()
    run = await scene.admin.fetchval("select id from engine.runs")
    frames = await (await scene.reader(service, session)).read(f"{run}:0")

    assert quiet is None
    heard = Transcript()
    for frame in frames:
        heard.hear(frame)
    assert list(heard.texts.values()) == ["said while no service was up"]
