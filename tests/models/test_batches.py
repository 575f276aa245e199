"""Every provider's batches by itself: bodies, answers, errors, and batches that are searched for."""

import json
import pkgutil
from typing import Any

import pytest

from backend.app.batches import _WIRES
from backend.domain.messages import ToolCall
from backend.errors import (
    BatchUndecided,
    ModelContextExceeded,
    ModelNotFound,
    ModelRefused,
    ModelUnavailable,
)
from backend.integrations.models.batches import HostedBatches
from backend.ports.batches import BatchAnswer, Sought
from backend.ports.models import Finished, ReasoningDelta, ToolCallMade
from backend.ports.replies import collect
from tests.models.accounts import KEY, Accounts
from tests.models.asking import COIN, DICE, ask, text_of
from tests.models.canned import Canned
from tests.models.servers import Control, Scripted, Unreliable
from tests.support.processes import until

NAMES = {"openai": "gpt-5.4", "anthropic": "claude-sonnet-4-5", "mistral": "mistral-small-2506"}


@pytest.fixture(params=list(NAMES))
def name(request: pytest.FixtureRequest) -> str:
    """Return each provider that has batches."""
    return str(request.param)


@pytest.fixture
def server(name: str, unreliable: Unreliable, scripted: Scripted) -> Control:
    """Return a mock of its batches."""
    return scripted if name == "openai" else unreliable


def batches_at(accounts: Accounts, url: str, name: str, *keys: str) -> HostedBatches:
    """Return the provider's batches there."""
    provider = accounts.at(url, name, keys=keys or (KEY,))
    return provider.batches(pkgutil.resolve_name(_WIRES[name]))


def question(name: str, *turns: str, **fields: Any) -> Any:
    """Return a question to a model that has batches."""
    return ask(*(turns or ("Brocken?",)), model=NAMES[name], max_output_tokens=100, **fields)


async def submit(batches: HostedBatches, name: str, batch_id: str, *items: str) -> tuple[str, str]:
    """Return grouping and id of a batch that was made."""
    encoded = await batches.encode(question(name))
    asked = [(item, encoded.body) for item in items]
    return encoded.grouping, await batches.submit(batch_id, encoded.grouping, asked)


async def answers(batches: HostedBatches, grouping: str, vendor_id: str) -> Any:
    """Return the answers once the batch has ended."""
    found: Any = None

    async def are_there() -> bool:
        nonlocal found
        found = await batches.collect(grouping, vendor_id)
        return found is not None

    await until(are_there)
    return found


async def test_each_question_has_its_own_answer(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)
    grouping, vendor_id = await submit(batches, name, "ours", "a", "b")

    found = await answers(batches, grouping, vendor_id)

    assert sorted(found) == ["a", "b"]
    for answer in found.values():
        assert (await collect(batches.decode(answer, question(name)))).text
    await batches.forget(grouping, vendor_id)


async def test_what_is_sent_holds_the_tools_and_neither_a_stream_nor_the_key(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)

    encoded = await batches.encode(question(name, tools=[DICE, COIN]))

    body = json.loads(encoded.body)
    assert len(body["tools"]) == 2
    assert not body.get("stream")
    assert KEY not in encoded.body + encoded.grouping
    assert json.loads(encoded.grouping)["model"] == NAMES[name]


async def test_questions_with_other_keys_do_not_go_together(
    accounts: Accounts, server: Control, name: str
) -> None:
    one, other = (batches_at(accounts, server.url_of(name), name, key) for key in ("one", "two"))

    groupings = {(await it.encode(question(name))).grouping for it in (one, one, other)}

    assert len(groupings) == 2


async def test_a_batch_is_found_by_what_is_ours_in_it(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)
    await submit(batches, name, "theirs", "x", "y")
    grouping, vendor_id = await submit(batches, name, "ours", "a", "b")
    await answers(batches, grouping, vendor_id)

    async def find(batch_id: str, *items: str, others: str = "") -> str | None:
        sought = Sought(batch_id, grouping, frozenset(items), 0.0, frozenset({others}))
        return await batches.find(sought)

    assert await find("ours", "a", "b") == vendor_id
    assert await find("nobodys", "c", "d") is None


async def test_while_a_batch_of_anthropics_may_be_ours_that_is_undecided(
    accounts: Accounts, unreliable: Unreliable
) -> None:
    batches = batches_at(accounts, unreliable.url_of("anthropic"), "anthropic")
    grouping, vendor_id = await submit(batches, "anthropic", "ours", "u", "v", "w")

    with pytest.raises(BatchUndecided):
        await batches.find(Sought("ours", grouping, frozenset("uvw"), 0.0, frozenset()))
    # One that we know, one that is larger, and one of before are not it.
    for sought in (
        Sought("ours", grouping, frozenset("uvw"), 0.0, frozenset({vendor_id})),
        Sought("ours", grouping, frozenset("uv"), 0.0, frozenset()),
        Sought("ours", grouping, frozenset("uvw"), 9e9, frozenset()),
    ):
        assert await batches.find(sought) is None


async def test_a_batch_of_anthropics_is_found_though_some_of_its_runs_were_deleted_before(
    accounts: Accounts, unreliable: Unreliable
) -> None:
    batches = batches_at(accounts, unreliable.url_of("anthropic"), "anthropic")
    grouping, vendor_id = await submit(batches, "anthropic", "ours", "left1", "left2")
    await answers(batches, grouping, vendor_id)

    asked = frozenset({"left1", "left2", "gone"})
    assert await batches.find(Sought("ours", grouping, asked, 0.0, frozenset())) == vendor_id


async def test_a_key_that_was_replaced_says_nothing_about_a_batch(
    accounts: Accounts, server: Control, name: str
) -> None:
    encoded = await batches_at(accounts, server.url_of(name), name, "one").encode(question(name))
    batches = batches_at(accounts, server.url_of(name), name, "two")

    with pytest.raises(ModelUnavailable):
        await batches.collect(encoded.grouping, "batch_of_nobody")


@pytest.mark.parametrize("vendor_id", ["", " ", "a\nb", "x" * 201])
@pytest.mark.parametrize("name", ["anthropic", "mistral"])
async def test_an_id_that_is_none_is_no_batch(
    accounts: Accounts, canned: Canned, name: str, vendor_id: str
) -> None:
    canned.will_send(200, {"id": vendor_id, "type": "message_batch"})
    batches = batches_at(accounts, canned.url_of(name), name)

    with pytest.raises(ModelUnavailable):
        await submit(batches, name, "ours", "a")


async def test_a_batch_that_is_not_there_is_not_found(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)
    encoded = await batches.encode(question(name))

    with pytest.raises(ModelNotFound):
        await batches.collect(encoded.grouping, "batch_of_nobody")


@pytest.mark.parametrize("name", ["anthropic", "mistral"])
@pytest.mark.parametrize(
    ("status", "raised"), [(400, ModelRefused), (401, ModelRefused), (500, ModelUnavailable)]
)
async def test_a_batch_that_cannot_be_made_says_whether_there_may_be_one(
    accounts: Accounts, canned: Canned, name: str, status: int, raised: type[Exception]
) -> None:
    canned.will_send(status, {"error": {"type": "x", "message": KEY}})
    batches = batches_at(accounts, canned.url_of(name), name)

    with pytest.raises(raised) as said:
        await submit(batches, name, "ours", "a")

    assert KEY not in str(said.value)


async def test_tool_calls_and_thoughts_of_an_answer_are_as_if_they_were_streamed(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)
    answer = BatchAnswer("succeeded", json.dumps(_WHOLE[name]))

    events = [it async for it in batches.decode(answer, question(name, tools=[DICE]))]

    assert text_of(events) == "Let us see. " * 30
    assert "".join(it.text for it in events if isinstance(it, ReasoningDelta)) == "Hm."
    (call,) = (it.call for it in events if isinstance(it, ToolCallMade))
    assert (call.name, call.arguments) == ("roll_dice", {"sides": 6})
    assert isinstance(call, ToolCall)
    final = events[-1]
    assert isinstance(final, Finished)
    usage = final.usage
    counts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens)
    assert (final.reason, counts) == ("tool_calls", (100, 40, 30))


async def test_an_error_of_an_answer_is_the_error_of_the_model(
    accounts: Accounts, server: Control, name: str
) -> None:
    batches = batches_at(accounts, server.url_of(name), name)
    said = "prompt is too long: context length exceeded"

    with pytest.raises(ModelContextExceeded):
        await collect(batches.decode(_errored(name, 400, said), question(name)))
    with pytest.raises(ModelUnavailable):
        await collect(batches.decode(_errored(name, 500, "oops"), question(name)))


def _errored(name: str, status: int, said: str) -> BatchAnswer:
    kind = "invalid_request_error" if status == 400 else "api_error"
    error = {"type": kind, "message": said}
    if name == "anthropic":
        told: Any = {"type": "errored", "error": {"type": "error", "error": error}}
    else:
        told = {"status_code": status, "body": {"error": error}}
    return BatchAnswer("errored", json.dumps(told))


_TEXT = "Let us see. " * 30
_MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": _TEXT},
    ],
    "tool_calls": [
        {"id": "call00001", "function": {"name": "roll_dice", "arguments": '{"sides": 6}'}}
    ],
}
_WHOLE: dict[str, Any] = {
    "openai": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5.4",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": _TEXT, "annotations": []}],
            },
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "roll_dice",
                "arguments": '{"sides": 6}',
                "status": "completed",
            },
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 12},
            "total_tokens": 130,
        },
    },
    "anthropic": {
        "type": "succeeded",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": NAMES["anthropic"],
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": _TEXT},
                {"type": "tool_use", "id": "toolu_1", "name": "roll_dice", "input": {"sides": 6}},
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 30},
        },
    },
    "mistral": {
        "id": "cmpl_1",
        "object": "chat.completion",
        "created": 1,
        "model": NAMES["mistral"],
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": _MESSAGE}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 40},
        },
    },
}
