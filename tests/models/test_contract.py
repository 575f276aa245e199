"""What every provider promises, asked of each, on two mock servers of other makers.

What a mock cannot do is asserted where it matters, so that a newer mock which can is noticed.
"""

import math

import pytest

from backend.devkit.offline_model import OfflineModel
from backend.domain.ids import CallId
from backend.domain.messages import Message, Reasoning, ToolCall, ToolResult
from backend.domain.options import Named
from backend.domain.usage import Usage
from backend.errors import ModelNotFound, ModelRefused, ModelReplyUnreadable
from backend.ports.clock import SystemClock
from backend.ports.models import Finished, LLMProvider, ModelEvent, TextDelta, ToolCallMade
from tests.models.accounts import Accounts
from tests.models.asking import COIN, DICE, ask, heard, heard_until_raised, said, text_of
from tests.models.servers import USAGE, Scripted, Unreliable

QUESTION = "How are you today?"
SIX = {"name": "roll_dice", "arguments": {"sides": 6, "label": 'a é "b"'}}
TWENTY = {"name": "roll_dice", "arguments": {"sides": 20, "label": "x" * 50}}
TOSS = {"name": "flip_coin", "arguments": {}}


def calls_in(events: list[ModelEvent]) -> list[ToolCall]:
    return [event.call for event in events if isinstance(event, ToolCallMade)]


def speaks_another_tongue(mock: Unreliable | Scripted, name: str) -> bool:
    """Whether it is aimock that streams tool calls to Mistral's client as OpenAI would.

    It leaves the name out of all pieces but the first, which Mistral's client refuses to read.
    """
    return isinstance(mock, Scripted) and name == "mistral"


async def test_a_stream_has_words_and_ends_with_its_only_final_event(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer(QUESTION, "I am well, thank you. 🏔️")
    events = await heard(accounts.at(mock.url_of(name), name), ask(QUESTION))
    *words, end = events
    assert all(isinstance(event, TextDelta) and event.text for event in words)
    assert len(words) > 1
    assert text_of(events) == "I am well, thank you. 🏔️"
    assert isinstance(end, Finished)
    assert end.reason == "stop"


async def test_what_is_generated_is_what_is_streamed(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer(QUESTION, "I am well.")
    reply = await accounts.at(mock.url_of(name), name).generate(ask(QUESTION))
    assert (reply.text, reply.reason, reply.calls) == ("I am well.", "stop", ())


async def test_tokens_are_counted_as_the_server_counts_them(
    scripted: Scripted, name: str, accounts: Accounts
) -> None:
    scripted.will_answer(QUESTION, "I am well.")
    reply = await accounts.at(scripted.url_of(name), name).generate(ask(QUESTION))
    # The mocks count only for who asks as OpenAI's client does; Mistral counts for everybody.
    expected = Usage() if name == "mistral" else Usage(**USAGE)
    assert reply.usage == expected


async def test_parallel_calls_are_whole_and_in_their_order(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer("Roll", "", SIX, TWENTY, TOSS)
    provider = accounts.at(mock.url_of(name), name)
    request = ask("Roll", tools=(DICE, COIN))
    if speaks_another_tongue(mock, name):
        _, error = await heard_until_raised(provider, request)
        assert type(error) is ModelReplyUnreadable
        return
    events = await heard(provider, request)
    made = calls_in(events)
    assert [{"name": it.name, "arguments": it.arguments} for it in made] == [SIX, TWENTY, TOSS]
    assert len({it.call_id for it in made} - {""}) == 3
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


async def test_a_demanded_tool_is_called(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    if isinstance(mock, Scripted):
        mock.will_answer("Do it", "", TOSS)
    demand = ask("Do it", tools=(DICE, COIN), tool_choice=Named("flip_coin"))
    provider = accounts.at(mock.url_of(name), name)
    if speaks_another_tongue(mock, name):
        assert type((await heard_until_raised(provider, demand))[1]) is ModelReplyUnreadable
        return
    assert [call.name for call in calls_in(await heard(provider, demand))] == ["flip_coin"]


def a_round_of_another_provider() -> tuple[Message, ...]:
    """Return a turn with thoughts, two calls and their results, with ids of OpenAI's."""
    calls = [ToolCall(CallId(f"call_{number}_{'x' * 20}"), "roll_dice") for number in range(2)]
    results = (
        ToolResult(calls[0].call_id, {"rolled": 5}),
        ToolResult(calls[1].call_id, "It fell off the table.", is_error=True),
    )
    return said("assistant", Reasoning("secret"), "Rolling.", *calls), said("tool", *results)


async def test_results_lead_to_an_answer_whoever_made_the_calls(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    mock.will_answer("Roll", "You rolled 5.")
    turns = a_round_of_another_provider()
    provider = accounts.at(mock.url_of(name), name)
    reply = await provider.generate(ask("Roll", *turns, tools=(DICE,), instructions="Be brief."))
    assert reply.text == "You rolled 5."
    if isinstance(mock, Scripted):
        told = str(mock.requests()[-1]["body"])
        assert "rolled" in told
        assert "It fell off the table." in told
        assert "secret" not in told


@pytest.mark.parametrize("name", ["openai", "compatible", "mistral"])
async def test_texts_become_unit_vectors_of_one_size(
    mock: Unreliable | Scripted, name: str, accounts: Accounts
) -> None:
    provider = accounts.at(mock.url_of(name), name)
    texts = ["a cat", "a dog", ""]
    if name == "mistral" and isinstance(mock, Unreliable):
        # llmock has no embeddings of Mistral's.
        with pytest.raises(ModelNotFound):
            await provider.embed(texts, model="mistral-embed")
        return
    found = await provider.embed(texts, model="mistral-embed")
    assert len(found.vectors) == len(texts)
    assert len({len(vector) for vector in found.vectors}) == 1
    assert [math.hypot(*vector) for vector in found.vectors] == pytest.approx([1, 1, 1])
    assert list(found.vectors[0]) != list(found.vectors[1])


async def test_who_has_no_embeddings_says_so_and_asks_nobody(
    mock: Unreliable | Scripted, accounts: Accounts
) -> None:
    provider = accounts.at(mock.url_of("anthropic"), "anthropic")
    with pytest.raises(ModelRefused, match="anthropic has no models that embed"):
        await provider.embed(["one"], model="claude-haiku-4-5")
    assert mock.requests() == []


async def test_a_client_behaves_well_towards_a_server_that_answers(
    unreliable: Unreliable, name: str, accounts: Accounts
) -> None:
    unreliable.will_answer(QUESTION, "All is well.")
    await accounts.at(unreliable.url_of(name), name).generate(ask(QUESTION))
    assert unreliable.verdict()["findings"] == []


async def test_the_model_without_a_key_promises_the_same() -> None:
    provider: LLMProvider = OfflineModel(SystemClock())
    events = await heard(provider, ask(QUESTION))
    assert [type(event) for event in events].count(Finished) == 1
    assert isinstance(events[-1], Finished)
    assert (events[-1].reason, events[-1].usage.output_tokens > 0) == ("stop", True)
    assert text_of(events) == (await provider.generate(ask(QUESTION))).text != ""
    demand = ask("Do it", tools=(DICE, COIN), tool_choice=Named("flip_coin"))
    assert [call.name for call in calls_in(await heard(provider, demand))] == ["flip_coin"]
    found = await provider.embed(["one", "two", ""], model="demo")
    assert [math.hypot(*vector) for vector in found.vectors] == pytest.approx([1, 1, 1])
