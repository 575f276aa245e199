"""Parking a run for its caller's tool outputs, and submitting them."""

from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim, call, text

_A = {"call_id": "a", "output": "7"}
_B = {"call_id": "b", "output": {"sum": 9}}


async def test_a_parked_run_says_which_calls_it_waits_for(chat: Chat) -> None:
    claim = await _parked(chat)

    (run,) = await chat.ada.fetch("select * from public.runs")

    assert run["status"] == "requires_action"
    calls = [
        {"call_id": name, "name": "roll_dice", "arguments": {"sides": 20}} for name in ("a", "b")
    ]
    assert run["required_action"] == {"type": "submit_tool_outputs", "tool_calls": calls}
    assert await chat.events(claim["run_id"]) == [(1, "run.requires_action")]


async def test_what_a_worker_keeps_for_itself_in_a_step_is_not_shown(chat: Chat) -> None:
    claim = await chat.claimed()
    step = call(0, "a")
    step["data"] |= {"usage": {"input_tokens": 3}, "round": 1}

    await chat.worker.call(
        "park_run", claim["run_id"], chat.worker.name, claim["fence"], [step], []
    )

    (shown,) = (await chat.run(claim["run_id"]))["required_action"]["tool_calls"]
    assert sorted(shown) == ["arguments", "call_id", "name"]
    await chat.ada.submit(claim["run_id"], [_A])
    (kept,) = (await chat.worker.history(await chat.worker.claim_one()))["steps"]
    assert (kept["data"]["round"], kept["data"]["output"]) == (1, "7")


@pytest.mark.parametrize("outputs", [[_A, _B], [_B, _A]], ids=["in order", "in another order"])
async def test_with_its_outputs_the_run_is_ready_and_the_model_is_given_them(
    chat: Chat, outputs: list[Any]
) -> None:
    claim = await _parked(chat)

    run = await chat.ada.submit(claim["run_id"], outputs)

    assert (run["status"], run["required_action"]) == ("ready", None)
    history = await chat.worker.history(await chat.worker.claim_one())
    assert [(s["status"], s["data"]["call_id"], s["data"]["output"]) for s in history["steps"]] == [
        ("completed", "a", "7"),
        ("completed", "b", {"sum": 9}),
    ]


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [_A],
        [_A, _A],
        [_A, _B, _B],
        [_A, _B, {"call_id": "c", "output": 1}],
        [_A, {"call_id": "b"}],
        [_A, {"call_id": "b", "output": None}],
        [_A, {"output": 1}],
        [1, 2],
        [None, _A],
        [[_A, _B]],
        {"a": 1},
        "both",
        7,
        None,
        [_A, {"call_id": "b", "output": "x" * 1_048_576}],
    ],
    ids=lambda outputs: str(outputs)[:40],
)
async def test_anything_but_one_output_for_each_call_is_refused(chat: Chat, outputs: Any) -> None:
    claim = await _parked(chat)

    with pytest.raises(asyncpg.CheckViolationError):
        await chat.ada.submit(claim["run_id"], outputs)

    steps = await chat.admin.fetch("select status, data from engine.run_steps")
    assert all(step["status"] == "requires_action" for step in steps)
    assert await chat.statuses(claim["session_id"]) == ["requires_action"]


async def test_the_refusal_names_the_calls(chat: Chat) -> None:
    claim = await _parked(chat)

    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await chat.ada.submit(claim["run_id"], [_A])

    assert refused.value.hint == "Calls: a, b"


async def test_outputs_are_taken_once(chat: Chat) -> None:
    claim = await _parked(chat)
    await chat.ada.submit(claim["run_id"], [_A, _B])

    with pytest.raises(asyncpg.PostgresError, match="does not wait") as refused:
        await chat.ada.submit(claim["run_id"], [_A, _B])

    assert refused.value.sqlstate == "PT409"


async def test_outputs_for_a_run_that_never_asked_are_refused(chat: Chat) -> None:
    claim = await chat.claimed()

    with pytest.raises(asyncpg.PostgresError) as refused:
        await chat.ada.submit(claim["run_id"], [_A])

    assert refused.value.sqlstate == "PT409"


async def test_a_second_round_asks_for_its_own_calls_only(chat: Chat) -> None:
    claim = await _parked(chat)
    await chat.ada.submit(claim["run_id"], [_A, _B])
    claim = await chat.worker.claim_one()
    await chat.worker.call(
        "park_run", claim["run_id"], chat.worker.name, claim["fence"], [call(2, "c")], []
    )

    run = await chat.ada.submit(claim["run_id"], [{"call_id": "c", "output": 1}])

    assert run["status"] == "ready"
    history = await chat.worker.history(await chat.worker.claim_one())
    assert [step["data"]["output"] for step in history["steps"]] == ["7", {"sum": 9}, 1]


async def test_finished_and_asked_calls_of_one_round_are_told_apart(chat: Chat) -> None:
    claim = await chat.claimed()
    steps = [call(0, "server", output=1), call(1, "a")]
    await chat.worker.call("park_run", claim["run_id"], chat.worker.name, claim["fence"], steps, [])

    await chat.ada.submit(claim["run_id"], [_A])
    await chat.worker.finish(await chat.worker.claim_one(), "Seven.")

    parts = (await chat.outcome(claim["run_id"]))["content"]
    results = [(p["call_id"], p["output"]) for p in parts if p["type"] == "tool_result"]
    assert results == [("server", 1), ("a", "7")]
    assert parts[-1:] == text("Seven.")


async def test_the_calls_of_a_run_that_expired_are_shown_without_results(chat: Chat) -> None:
    claim = await _parked(chat)
    await chat.let_waits_expire()

    await chat.worker.reap()

    parts = (await chat.outcome(claim["run_id"]))["content"]
    assert [part["type"] for part in parts] == ["tool_call", "tool_call"]


async def _parked(chat: Chat) -> Claim:
    claim = await chat.claimed()
    assert await chat.worker.park(claim, "a", "b") == {"state": "stored"}
    return claim
