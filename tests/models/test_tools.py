"""Tool calls reach us whole, several at a time, or not at all."""

import pytest

from backend.domain.ids import CallId
from backend.domain.messages import ToolCall, ToolResult
from backend.errors import ModelReplyUnreadable
from backend.ports.models import Finished, ModelEvent, TextDelta, ToolCallMade
from tests.models.accounts import Accounts
from tests.models.asking import DICE, ask, heard, heard_until_raised, said, text_of
from tests.models.canned import Canned, call, created, delta, ended
from tests.models.servers import Scripted, Unreliable


def calls_in(events: list[ModelEvent]) -> list[ToolCall]:
    return [event.call for event in events if isinstance(event, ToolCallMade)]


async def test_parallel_calls_whose_arguments_come_in_pieces_are_whole(
    scripted: Scripted, accounts: Accounts
) -> None:
    made = [
        {
            "id": "call_1",
            "name": "roll_dice",
            "arguments": '{"sides": 20, "label": "a é \\"b\\""}',
        },
        {"id": "call_2", "name": "roll_dice", "arguments": '{"sides": null}'},
    ]
    scripted.will_say("Roll", {"content": "Rolling.", "toolCalls": made}, chunkSize=1)
    events = await heard(accounts.at(scripted.base_url), ask("Roll twice", tools=(DICE,)))
    assert text_of(events) == "Rolling."
    assert calls_in(events) == [
        ToolCall(CallId("call_1"), "roll_dice", {"sides": 20, "label": 'a é "b"'}),
        ToolCall(CallId("call_2"), "roll_dice", {"sides": None}),
    ]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


@pytest.mark.filterwarnings("ignore:The provider sent a `function_call_arguments.done`")
async def test_characters_that_a_server_cuts_in_two_are_whole_in_arguments(
    scripted: Scripted, accounts: Accounts
) -> None:
    made = {"id": "call_1", "name": "roll_dice", "arguments": '{"label": "🎲"}'}
    scripted.will_say("Roll", {"toolCalls": [made]}, chunkSize=1)
    events = await heard(accounts.at(scripted.base_url), ask("Roll", tools=(DICE,)))
    assert [it.arguments for it in calls_in(events)] == [{"label": "🎲"}]


async def test_both_mock_servers_make_calls_that_are_understood(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    names = [{"name": "roll_dice", "arguments": {"sides": n, "label": "x" * 50}} for n in (4, 6)]
    unreliable.will({"type": "reply", "tool_calls": names})
    events = await heard(accounts.at(unreliable.base_url), ask("Roll", tools=(DICE,)))
    assert [it.arguments["sides"] for it in calls_in(events)] == [4, 6]
    assert unreliable.verdict()["findings"] == []


async def test_a_call_and_its_result_lead_to_the_answer(
    scripted: Scripted, accounts: Accounts
) -> None:
    made = {"id": "call_7", "name": "roll_dice", "arguments": '{"sides":6}'}
    scripted.will_say("Roll", {"content": "You rolled 5."}, after_tools=True)
    scripted.will_say("Roll", {"toolCalls": [made]})
    provider = accounts.at(scripted.base_url)
    question = ask("Roll", tools=(DICE,))
    (asked,) = calls_in(await heard(provider, question))
    turns = (said("assistant", asked), said("tool", ToolResult(asked.call_id, {"rolled": 5})))
    reply = await provider.generate(ask("Roll", *turns, tools=(DICE,)))
    assert reply.text == "You rolled 5."


async def test_a_call_without_arguments_has_none(canned: Canned, accounts: Accounts) -> None:
    canned.will_stream(created(), *call([]), ended())
    events = await heard(accounts.at(canned.base_url), ask("Roll", tools=(DICE,)))
    assert calls_in(events) == [ToolCall(CallId("call_1"), "roll_dice", {})]


async def test_a_tool_that_does_not_exist_is_passed_on(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will({"type": "tool_fault", "kind": "unknown_tool"})
    events = await heard(accounts.at(unreliable.base_url), ask("Roll", tools=(DICE,)))
    (made,) = calls_in(events)
    assert made.name != DICE.name


async def test_broken_arguments_are_worth_another_try(
    unreliable: Unreliable, accounts: Accounts
) -> None:
    unreliable.will({"type": "tool_fault", "kind": "malformed_arguments"})
    provider = accounts.at(unreliable.base_url)
    _, error = await heard_until_raised(provider, ask("Roll", tools=(DICE,)))
    assert isinstance(error, ModelReplyUnreadable)
    assert error.retryable


@pytest.mark.parametrize(
    "arguments",
    ["{", "[]", '"text"', "null", "5", '{"a": NaN}', "{'a': 1}", '{"a": 1} {"b": 2}', "[" * 9_999],
)
async def test_arguments_are_a_json_object_or_the_answer_is_unreadable(
    canned: Canned, accounts: Accounts, arguments: str
) -> None:
    canned.will_stream(created(), delta("Rolling"), *call([arguments]), ended())
    provider = accounts.at(canned.base_url)
    events, error = await heard_until_raised(provider, ask("Roll", tools=(DICE,)))
    assert events == [TextDelta("Rolling")]
    assert type(error) is ModelReplyUnreadable


@pytest.mark.parametrize("name", [None, ""])
async def test_a_call_that_names_no_tool_is_unreadable(
    canned: Canned, accounts: Accounts, name: str | None
) -> None:
    canned.will_stream(created(), *call(["{}"], name=name), ended())
    provider = accounts.at(canned.base_url)
    _, error = await heard_until_raised(provider, ask("Roll", tools=(DICE,)))
    assert type(error) is ModelReplyUnreadable


@pytest.mark.parametrize("arguments", ['{"sides": 2', '{"sides": 20}'])
async def test_an_answer_that_was_cut_short_makes_no_calls(
    canned: Canned, accounts: Accounts, arguments: str
) -> None:
    why = {"reason": "max_output_tokens"}
    canned.will_stream(created(), *call([arguments]), ended("incomplete", incomplete_details=why))
    events = await heard(accounts.at(canned.base_url), ask("Roll", tools=(DICE,)))
    assert [type(event) for event in events] == [Finished]
    assert isinstance(events[0], Finished)
    assert events[0].reason == "length"
