"""A stream that breaks, in whatever way, is never taken for an answer."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from backend.errors import (
    ModelReplyUnreadable,
    ModelStreamTruncated,
    ModelUnavailable,
)
from backend.ports.models import Finished, ModelEvent, TextDelta
from tests.models.accounts import Accounts
from tests.models.asking import DICE, ask, heard, heard_until_raised
from tests.models.canned import (
    STREAM_HEAD,
    Canned,
    Writer,
    call,
    created,
    delta,
    ended,
    event,
    frames,
)
from tests.models.servers import Scripted, Unreliable

_CHUNKS_OF_A_WORD = 4
"""llmock's events before the first word."""


@pytest.mark.parametrize("after_chunks", [0, 1, _CHUNKS_OF_A_WORD, _CHUNKS_OF_A_WORD + 2])
async def test_a_connection_that_is_cut_may_be_tried_again(
    unreliable: Unreliable, accounts: Accounts, after_chunks: int
) -> None:
    unreliable.will({"type": "reply", "text": "one two three four five"})
    unreliable.will_break("disconnect", after_chunks=after_chunks)
    events, error = await heard_until_raised(accounts.at(unreliable.base_url), ask("Count"))
    assert len(events) == max(0, after_chunks - _CHUNKS_OF_A_WORD)
    assert type(error) is ModelUnavailable
    assert len(unreliable.requests()) == 1


async def test_a_socket_that_is_destroyed_may_be_tried_again(
    scripted: Scripted, accounts: Accounts
) -> None:
    scripted.will_say("Count", {"content": "one two three"}, chunkSize=4, truncateAfterChunks=6)
    events, error = await heard_until_raised(accounts.at(scripted.base_url), ask("Count"))
    assert not any(isinstance(event, Finished) for event in events)
    assert type(error) is ModelUnavailable


@pytest.mark.parametrize("after_chunks", [1, _CHUNKS_OF_A_WORD, _CHUNKS_OF_A_WORD + 5])
async def test_a_stream_that_ends_too_soon_without_a_word_is_no_answer(
    unreliable: Unreliable, accounts: Accounts, after_chunks: int
) -> None:
    unreliable.will({"type": "reply", "text": "one two three four five"})
    unreliable.will_break("truncate", after_chunks=after_chunks, times=2)
    provider = accounts.at(unreliable.base_url)
    events = await heard(provider, ask("Count"))
    assert all(isinstance(event, TextDelta) for event in events)
    with pytest.raises(ModelStreamTruncated):
        await provider.generate(ask("Count"))


_ADDED, *_PIECES = call(['{"sides":', " 6}"])
_HALVES: dict[str, list[Any]] = {
    "nothing": [],
    "a beginning": [created()],
    "a beginning and the end of all streams": [created(), b"data: [DONE]\n\n"],
    "words": [created(), delta("Hel")],
    "words without a beginning": [delta("Hel")],
    "half a call": [created(), _ADDED, _PIECES[0]],
    "a whole call": [created(), _ADDED, *_PIECES],
    "half a refusal": [created(), event("response.refusal.delta", item_id="m", delta="I ca")],
    "an end without a reason": [created(), delta("Hel"), ended("incomplete")],
    "an end that is none": [created(), delta("Hel"), ended(status="in_progress")],
}


@pytest.mark.parametrize("half", _HALVES)
async def test_half_an_answer_is_none(canned: Canned, accounts: Accounts, half: str) -> None:
    canned.will_stream(*_HALVES[half])
    provider = accounts.at(canned.base_url)
    with pytest.raises(ModelStreamTruncated):
        await provider.generate(ask("Roll", tools=(DICE,)))


async def test_a_chunk_that_is_no_json_may_be_tried_again(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will_break("malformed", after_chunks=_CHUNKS_OF_A_WORD)
    _, error = await heard_until_raised(accounts.at(unreliable.base_url), ask("Count"))
    assert type(error) is ModelReplyUnreadable
    assert error.retryable


_UNREADABLE: dict[str, Any] = {
    "cut JSON": b'data: {"type": "response.outp\n\n',
    "no UTF-8": b"data: \xff\xfe\n\n",
    "an event without data": b"event: response.created\n\n",
    "deep JSON": b"data: " + b"[" * 100_000 + b"\n\n",
    "a list": [1, 2],
    "a string": "hello",
    "null": None,
    "a number": 5,
    "a number of words": delta(5),
    "an end without an answer": event("response.completed"),
    "an end with no answer": event("response.completed", response=None),
    "an end with another thing": event("response.completed", response=[1]),
}


@pytest.mark.parametrize("kind", _UNREADABLE)
async def test_what_is_not_of_the_format_may_be_tried_again(
    canned: Canned, accounts: Accounts, kind: str
) -> None:
    canned.will_stream(created(), delta("Hel"), _UNREADABLE[kind], ended())
    events, error = await heard_until_raised(accounts.at(canned.base_url), ask("Hi"))
    assert events in ([TextDelta("Hel")], [])
    assert type(error) is ModelReplyUnreadable


async def test_a_page_in_place_of_a_stream_is_no_answer(canned: Canned, accounts: Accounts) -> None:
    page = b"<html>Sign in to the hotel's network</html>"
    head = STREAM_HEAD.replace(b"text/event-stream", b"text/html")

    async def answer(writer: Writer) -> None:
        writer.write(head + page)

    canned.will(answer)
    _, error = await heard_until_raised(accounts.at(canned.base_url), ask("Hi"))
    assert type(error) is ModelStreamTruncated


async def test_a_provider_that_falls_silent_is_given_up(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will({"type": "reply", "text": "one two three"})
    unreliable.will_break("stall", after_chunks=_CHUNKS_OF_A_WORD + 1, stall_seconds=30)
    provider = accounts.at(unreliable.base_url, silence_s=2)
    events, error = await heard_until_raised(provider, ask("Count"))
    assert events == [TextDelta("one ")]
    assert type(error) is ModelUnavailable
    await provider.aclose()
    assert unreliable.verdict()["findings"] == []


async def test_a_provider_that_never_begins_is_given_up(canned: Canned, accounts: Accounts) -> None:
    async def never(_writer: Writer) -> None:
        await asyncio.Event().wait()

    canned.will(never)
    provider = accounts.at(canned.base_url, silence_s=0.1)
    _, error = await heard_until_raised(provider, ask("Hi"))
    assert type(error) is ModelUnavailable
    await canned.was_left.wait()


async def test_slow_is_not_silent(canned: Canned, accounts: Accounts) -> None:
    async def dripping(writer: Writer) -> None:
        writer.write(STREAM_HEAD)
        for byte in frames(created(), delta("Hello"), ended()):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    canned.will(dripping)
    reply = await accounts.at(canned.base_url, silence_s=5).generate(ask("Hi"))
    assert reply.text == "Hello"


async def _half_an_answer(writer: Writer) -> None:
    writer.write(STREAM_HEAD + frames(created(), delta("Hel")))
    await asyncio.Event().wait()


async def test_a_cancelled_run_hangs_up(canned: Canned, accounts: Accounts) -> None:
    canned.will(_half_an_answer)
    provider = accounts.at(canned.base_url)
    was_heard = asyncio.Event()

    async def listen() -> None:
        async with aclosing(provider.stream(ask("Hi"))) as stream:
            async for _ in stream:
                was_heard.set()

    listening = asyncio.create_task(listen())
    await was_heard.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await canned.was_left.wait()


async def test_who_stops_listening_hangs_up(canned: Canned, accounts: Accounts) -> None:
    canned.will(_half_an_answer)
    stream = accounts.at(canned.base_url).stream(ask("Hi"))
    assert await anext(stream) == TextDelta("Hel")
    await stream.aclose()
    await canned.was_left.wait()


async def test_who_is_cancelled_before_the_first_byte_hangs_up(
    canned: Canned, accounts: Accounts
) -> None:
    was_asked = asyncio.Event()

    async def never(_writer: Writer) -> None:
        was_asked.set()
        await asyncio.Event().wait()

    canned.will(never)
    waiting = asyncio.create_task(accounts.at(canned.base_url).generate(ask("Hi")))
    await was_asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await canned.was_left.wait()


async def test_hanging_up_leaves_room_for_others(canned: Canned, accounts: Accounts) -> None:
    provider = accounts.at(canned.base_url)
    canned.will(_half_an_answer)
    for _ in range(20):
        stream = provider.stream(ask("Hi"))
        await anext(stream)
        await stream.aclose()
    canned.will_stream(created(), delta("Hello"), ended())
    last: list[ModelEvent] = await heard(provider, ask("Hi"))
    assert last[0] == TextDelta("Hello")
