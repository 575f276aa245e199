"""What the model says reaches us as it comes, whole and counted."""

import asyncio
from contextlib import aclosing

import pytest

from backend.domain.usage import Usage
from backend.ports.models import Finished, ReasoningDelta, StopReason, TextDelta
from tests.models.accounts import Accounts
from tests.models.asking import MODEL, ask, heard, text_of
from tests.models.canned import (
    ANSWERED,
    STREAM_HEAD,
    Canned,
    Writer,
    created,
    delta,
    ended,
    event,
    frames,
)
from tests.models.servers import Scripted, Unreliable

_POEM = "Ünïcödé, 漢字, العربية, 👩‍👩‍👧‍👦 and a 🏳️‍🌈.\n\n```py\nprint('\\u0041')\n```\n"
_COUNTED = Usage(input_tokens=100, cached_tokens=40, output_tokens=30, reasoning_tokens=12)


async def test_text_comes_in_pieces_and_ends_with_what_it_cost(
    scripted: Scripted, accounts: Accounts
) -> None:
    usage = {"input_tokens": 7, "output_tokens": 3}
    scripted.will_say("poem", {"content": "Roses are red", "usage": usage}, chunkSize=5)
    assert await heard(accounts.at(scripted.base_url), ask("A poem, please")) == [
        TextDelta("Roses"),
        TextDelta(" are "),
        TextDelta("red"),
        Finished("stop", Usage(input_tokens=7, output_tokens=3), MODEL),
    ]


async def test_a_piece_is_heard_before_the_next_one_is_sent(
    canned: Canned, accounts: Accounts
) -> None:
    may_go_on = asyncio.Event()

    async def slowly(writer: Writer) -> None:
        writer.write(STREAM_HEAD + frames(created(), delta("One, ")))
        await may_go_on.wait()
        writer.write(frames(delta("two."), ended()))

    canned.will(slowly)
    async with aclosing(accounts.at(canned.base_url).stream(ask("Count"))) as stream:
        assert await anext(stream) == TextDelta("One, ")
        may_go_on.set()
        assert [event async for event in stream] == [
            TextDelta("two."),
            Finished("stop", _COUNTED, ANSWERED),
        ]


async def test_cached_and_reasoning_tokens_are_counted(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(created(), delta("Hello"), ended())
    assert (await heard(accounts.at(canned.base_url), ask("Hi")))[-1] == Finished(
        "stop", _COUNTED, ANSWERED
    )


async def test_a_provider_that_counts_nothing_costs_nothing(
    canned: Canned, accounts: Accounts
) -> None:
    canned.will_stream(created(), delta("Hello"), ended(usage=None))
    assert (await heard(accounts.at(canned.base_url), ask("Hi")))[-1] == Finished(
        "stop", Usage(), ANSWERED
    )


async def test_a_long_answer_is_whole(scripted: Scripted, accounts: Accounts) -> None:
    story = "".join(f"Sentence {number}. " for number in range(5_000))
    scripted.will_say("story", {"content": story}, chunkSize=17)
    events = await heard(accounts.at(scripted.base_url), ask("A story"))
    assert text_of(events) == story
    assert len(events) == -(-len(story) // 17) + 1


async def test_characters_that_a_server_cuts_in_two_are_whole(
    scripted: Scripted, accounts: Accounts
) -> None:
    scripted.will_say("poem", {"content": _POEM}, chunkSize=1)
    events = await heard(accounts.at(scripted.base_url), ask("A poem"))
    assert text_of(events) == _POEM
    assert all(event.text.encode() for event in events if isinstance(event, TextDelta))


async def test_half_a_character_is_replaced_and_at_the_very_end_left_out(
    canned: Canned, accounts: Accounts
) -> None:
    canned.will_stream(created(), delta("a\ud83d"), delta("b\ude00"), delta("c\ud83d"), ended())
    events = await heard(accounts.at(canned.base_url), ask("Hi"))
    assert text_of(events) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


async def test_two_texts_of_one_answer_stand_apart(canned: Canned, accounts: Accounts) -> None:
    first = [delta("Let me "), delta("see.")]
    second = [delta("It is ", item="msg_2"), delta("five.", item="msg_2")]
    canned.will_stream(created(), *first, *second, ended())
    events = await heard(accounts.at(canned.base_url), ask("What time is it?"))
    assert text_of(events) == "Let me see.\n\nIt is five."


async def test_thoughts_come_apart_from_the_words(scripted: Scripted, accounts: Accounts) -> None:
    thinking = {"content": "Five.", "reasoning": "Two and three. 🤔"}
    scripted.will_say("sum", thinking, chunkSize=100)
    events = await heard(accounts.at(scripted.base_url), ask("The sum?"))
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert (thoughts, text_of(events)) == ("Two and three. 🤔", "Five.")


@pytest.mark.parametrize(
    ("why", "reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
async def test_an_answer_that_was_cut_short_says_why(
    canned: Canned, accounts: Accounts, why: str, reason: StopReason
) -> None:
    canned.will_stream(
        created(), delta("And th"), ended("incomplete", incomplete_details={"reason": why})
    )
    events = await heard(accounts.at(canned.base_url), ask("Hi"))
    assert events == [TextDelta("And th"), Finished(reason, _COUNTED, ANSWERED)]


async def test_events_that_nobody_knows_yet_are_passed_over(
    canned: Canned, accounts: Accounts
) -> None:
    unknown = event("response.hologram.delta", item_id="h", delta="secret")
    item = event("response.output_item.added", output_index=0, item={"type": "hologram", "id": "h"})
    canned.will_stream(created(), {"type": "keepalive"}, unknown, item, delta("Hello"), ended())
    assert text_of(await heard(accounts.at(canned.base_url), ask("Hi"))) == "Hello"


async def test_an_answer_without_words_is_one(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(created(), ended())
    assert await heard(accounts.at(canned.base_url), ask("Hi")) == [
        Finished("stop", _COUNTED, ANSWERED)
    ]


async def test_many_conversations_are_streamed_at_once(canned: Canned, accounts: Accounts) -> None:
    everybody = asyncio.Barrier(300)

    async def together(writer: Writer) -> None:
        await everybody.wait()
        writer.write(STREAM_HEAD + frames(created(), delta("Hello"), ended()))

    canned.will(together)
    provider = accounts.at(canned.base_url, connect_s=30)
    answers = await asyncio.gather(*(provider.generate(ask(f"I am {n}")) for n in range(300)))
    assert {answer.text for answer in answers} == {"Hello"}


async def test_the_client_behaves_well_towards_a_server_that_answers(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will({"type": "reply", "text": "All is well."})
    reply = await accounts.at(unreliable.base_url).generate(ask("How are you?"))
    assert (reply.text, reply.reason, reply.calls) == ("All is well.", "stop", ())
    assert unreliable.verdict()["findings"] == []
