"""Each provider's own words, byte for byte, become the same events; half of them are no answer."""

from typing import Any

import pytest

from backend.domain.ids import CallId
from backend.domain.messages import ToolCall
from backend.domain.usage import Usage
from backend.errors import (
    AssistantsError,
    ModelReplyUnreadable,
    ModelStreamTruncated,
    ModelUnavailable,
)
from backend.ports.models import Finished, ReasoningDelta, StopReason, TextDelta, ToolCallMade
from tests.models.accounts import Accounts
from tests.models.asking import COIN, DICE, MODEL, ask, heard, heard_until_raised, text_of
from tests.models.canned import ANSWERED, Canned, created, delta, ended
from tests.models.dialects import DIALECTS, whole

_COUNTED = Usage(input_tokens=100, cached_tokens=40, output_tokens=30, reasoning_tokens=12)


async def test_thoughts_come_apart_from_the_words_and_all_tokens_are_counted(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    dialect = DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.think("Two and three. 🤔"), dialect.say("Five.")))
    assert await heard(accounts.at(canned.url_of(name), name), ask("The sum?")) == [
        ReasoningDelta("Two and three. 🤔"),
        TextDelta("Five."),
        Finished("stop", _COUNTED, ANSWERED),
    ]


async def test_calls_beside_each_other_are_whole(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    dialect = DIALECTS[name]
    events = whole(dialect, dialect.say("Rolling."), dialect.call(), reason="tool_calls")
    canned.will_stream(*events)
    provider = accounts.at(canned.url_of(name), name)
    assert await heard(provider, ask("Roll", tools=(DICE, COIN))) == [
        TextDelta("Rolling."),
        ToolCallMade(ToolCall(CallId("call_a"), "roll_dice", {"sides": 6})),
        ToolCallMade(ToolCall(CallId("call_b"), "flip_coin", {})),
        Finished("tool_calls", _COUNTED, ANSWERED),
    ]


@pytest.mark.parametrize("is_a_call", [False, True])
async def test_no_beginning_of_an_answer_is_one(
    canned: Canned, name: str, accounts: Accounts, *, is_a_call: bool
) -> None:
    dialect = DIALECTS[name]
    part = dialect.call() if is_a_call else [*dialect.think("Hm"), *dialect.say("Hello")]
    reason = "tool_calls" if is_a_call else "stop"
    provider = accounts.at(canned.url_of(name), name)
    told = whole(dialect, part, reason=reason)
    first_of_end = len(told) - len(dialect.end(reason))
    for length in range(first_of_end + 1):
        for last in ((), (b"data: [DONE]\n\n",)):
            canned.will_stream(*told[:length], *last)
            with pytest.raises((ModelStreamTruncated, ModelUnavailable)) as raised:
                await provider.generate(ask("Hi", tools=(DICE, COIN)))
            assert raised.type is not ModelReplyUnreadable


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_short_says_why_and_makes_no_calls(
    canned: Canned, name: str, accounts: Accounts, reason: StopReason
) -> None:
    dialect = DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.say("And th"), dialect.call(), reason=reason))
    provider = accounts.at(canned.url_of(name), name)
    request = ask("Hi", tools=(DICE, COIN))
    if (name, reason) == ("mistral", "content_filter"):
        # It has no word for it, and says that it failed.
        events, error = await heard_until_raised(provider, request)
        assert (events, type(error)) == ([TextDelta("And th")], ModelUnavailable)
        return
    if (name, reason) == ("anthropic", "content_filter"):
        # It has no filter beside the model's own refusal.
        reason = "refusal"
    assert await heard(provider, request) == [
        TextDelta("And th"),
        Finished(reason, _COUNTED, ANSWERED),
    ]


async def test_a_character_that_is_cut_in_two_is_whole_or_the_answer_is_unreadable(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    dialect = DIALECTS[name]
    canned.will_stream(*whole(dialect, dialect.say("a\ud83c"), dialect.say("\udfd4b")))
    provider = accounts.at(canned.url_of(name), name)
    if name == "mistral":
        # Its client reads no JSON with half a character; Mistral's own server cuts none.
        with pytest.raises(ModelReplyUnreadable):
            await provider.generate(ask("Hi"))
        return
    reply = await provider.generate(ask("Hi"))
    assert reply.text.replace("\n\n", "") == "a\U0001f3d4b"


def _framed(name: str, data: str) -> bytes:
    kind = "event: content_block_delta\n" if name == "anthropic" else ""
    return f"{kind}data: {data}\n\n".encode()


@pytest.mark.parametrize("data", ['{"a', "[" * 100_000, "\\u00ff{}", "<html>"])
async def test_what_is_no_json_may_be_tried_again(
    canned: Canned, name: str, accounts: Accounts, data: str
) -> None:
    dialect = DIALECTS[name]
    told = whole(dialect, dialect.say("Hel"))
    canned.will_stream(*told[:-2], _framed(name, data), *told[-2:])
    _, error = await heard_until_raised(accounts.at(canned.url_of(name), name), ask("Hi"))
    assert type(error) is ModelReplyUnreadable


@pytest.mark.parametrize("data", ["[1, 2]", '"hello"', "null", "5", "{}"])
async def test_json_of_another_kind_is_passed_over_or_may_be_tried_again(
    canned: Canned, name: str, accounts: Accounts, data: str
) -> None:
    dialect = DIALECTS[name]
    told = whole(dialect, dialect.say("Hel"))
    canned.will_stream(*told[:-2], _framed(name, data), *told[-2:])
    try:
        reply = await accounts.at(canned.url_of(name), name).generate(ask("Hi"))
    except (ModelReplyUnreadable, ModelUnavailable) as error:
        assert error.retryable  # noqa: PT017 - either is right
    else:
        assert reply.text == "Hel"


async def test_a_page_in_place_of_a_stream_is_no_answer(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    canned.will_send(200, {"message": "Sign in to the hotel's network"})
    _, error = await heard_until_raised(accounts.at(canned.url_of(name), name), ask("Hi"))
    assert isinstance(error, AssistantsError)
    assert error.retryable
    assert "hotel" not in str(error)


async def test_events_that_nobody_knows_yet_are_passed_over(
    canned: Canned, name: str, accounts: Accounts
) -> None:
    dialect = DIALECTS[name]
    unknown: dict[str, Any] = {"type": "hologram", "id": "h", "choices": [], "model": "m"}
    told = whole(dialect, dialect.say("Hello"))
    canned.will_stream(told[0], b": keep-alive\n\n", *told[1:2], unknown, *told[2:])
    events = await heard(accounts.at(canned.url_of(name), name), ask("Hi"))
    assert text_of(events) == "Hello"


async def test_mistrals_api_may_be_asked_as_a_compatible_server_without_its_thoughts(
    canned: Canned, accounts: Accounts
) -> None:
    mistral = DIALECTS["mistral"]
    said = [*mistral.think("Hm"), *mistral.say("Hello"), *mistral.call()]
    canned.will_stream(*whole(mistral, said, reason="tool_calls"))
    provider = accounts.at(canned.url_of("compatible"), "compatible")
    reply = await provider.generate(ask("Hi", tools=(DICE, COIN)))
    assert (reply.text, reply.reason, reply.usage) == ("Hello", "tool_calls", _COUNTED)
    assert [call.arguments for call in reply.calls] == [{"sides": 6}, {}]


@pytest.mark.parametrize("told", ["", "a name", "x" * 201, "a\x00b", "\N{SNOWMAN}"])
async def test_what_cannot_be_a_models_name_is_none(
    canned: Canned, accounts: Accounts, told: str
) -> None:
    begun, final = created(), ended()
    begun["response"]["model"] = final["response"]["model"] = told
    canned.will_stream(begun, delta("Hello"), final)
    finished = (await heard(accounts.at(canned.base_url), ask("Hi")))[-1]
    assert isinstance(finished, Finished)
    assert finished.model in ("", MODEL)
