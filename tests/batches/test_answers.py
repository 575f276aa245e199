"""Runs that may wait are answered out of batches, by real workers and three providers."""

import math
from decimal import Decimal
from typing import Any

import pytest

from backend.domain.usage import Usage
from backend.governance.estimates import BYTES_PER_TOKEN
from backend.governance.prices import ListedPrices
from tests.batches.relay import each_line
from tests.batches.scene import CREATE, MODELS, QUESTION, SAID, BatchScene
from tests.faults.scene import BOTH_WAYS
from tests.support.processes import UNHARMED

PROVIDERS = pytest.mark.parametrize("provider", list(MODELS))


@BOTH_WAYS
@PROVIDERS
async def test_a_run_that_may_wait_is_answered_by_a_batch_and_costs_half(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    session = await scene.ask(QUESTION)
    scene.work(**UNHARMED)
    await scene.until_idle()

    text, *outcome = await scene.answer_of(session)
    assert SAID[provider] in text
    assert outcome == [None, "completed"]
    assert relay.count("POST", CREATE[provider]) == 1
    assert not relay.count("POST", "/v1/responses")
    (call,) = await scene.calls()
    (run,) = await scene.chat.runs(session)
    assert (call["run_id"], call["outcome"], call["provider"]) == (run["id"], "completed", provider)
    if provider == "openai":
        # aimock counts nothing.
        assert call["output_tokens"] == math.ceil(len(text) / BYTES_PER_TOKEN)
        assert call["is_estimated"]
    else:
        assert not call["is_estimated"]
    assert run["usage"]["input_tokens"] == call["input_tokens"] > 0
    assert run["usage"]["output_tokens"] == call["output_tokens"] > 0
    usage = Usage(call["input_tokens"], 0, call["output_tokens"])
    direct = ListedPrices().cost_usd(provider, MODELS[provider], usage)
    assert direct is not None
    assert call["cost_usd"] == Decimal(direct) / 2
    assert await scene.fences() == [2]
    await scene.assert_sound()


async def test_a_successor_is_asked_in_a_batch_without_what_it_does_not_take(
    scene: BatchScene,
) -> None:
    relay = await scene.use("openai", temperature=0.7)
    await scene.admin.execute("update public.assistants set model = 'openai:gpt-4'")
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert relay.count("POST", CREATE["openai"]) == 1
    assert not relay.count("POST", "/v1/responses")
    await scene.assert_sound()


async def test_questions_that_come_together_are_one_batch(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    for _ in range(5):
        await scene.ask(QUESTION)
    scene.work(MODEL_BATCH_DELAY_S="3")
    await scene.until_idle()

    assert await scene.count("status = 'completed'") == 5
    assert relay.count("POST", CREATE["mistral"]) == 1
    assert len(await scene.calls()) == 5
    await scene.assert_sound()


@PROVIDERS
async def test_a_tool_that_a_batch_asks_for_is_called_and_its_result_is_another_question(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    relay.changes.append(_asks_once_for_dice(provider))
    await scene.admin.execute(
        "update public.assistants set tools = $1",
        [{"type": "function", "function": {"name": "roll_dice"}}],
    )
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    text, error, status = await scene.answer_of(session)
    assert (error, status) == (None, "completed")
    assert text
    (run,) = await scene.chat.runs(session)
    steps = await scene.admin.fetch(
        "select status, data from engine.run_steps where run_id = $1", run["id"]
    )
    assert [(it["status"], it["data"]["name"]) for it in steps] == [("completed", "roll_dice")]
    assert relay.count("POST", CREATE[provider]) == 2
    assert len(await scene.calls()) == 2
    await scene.assert_sound()


async def test_without_batches_the_same_assistant_is_asked_directly(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    scene.work(MODEL_BATCHES="openai")
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert not relay.count("POST", CREATE["mistral"])
    assert await scene.items() == []
    await scene.assert_sound()


_CALLS: dict[str, Any] = {
    "openai": {
        "output": [
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "roll_dice",
                "arguments": "{}",
                "status": "completed",
            }
        ]
    },
    "anthropic": {
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "roll_dice", "input": {}}],
        "stop_reason": "tool_use",
    },
    "mistral": {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"id": "call00001", "function": {"name": "roll_dice", "arguments": "{}"}}
                    ],
                },
            }
        ]
    },
}


def _asks_once_for_dice(provider: str) -> Any:
    asked: list[str] = []

    def change(line: dict[str, Any]) -> dict[str, Any]:
        # The provider gives the same answer however often it is asked for it.
        if line["custom_id"] not in asked and asked:
            return line
        asked.append(line["custom_id"])
        body = line["result"]["message"] if "result" in line else line["response"]["body"]
        body |= _CALLS[provider]
        return line

    return each_line("/results" if provider == "anthropic" else "/content", change)
