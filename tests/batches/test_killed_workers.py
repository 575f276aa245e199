"""Workers that die with a batch in their hands: each question is asked once, answered once, paid once."""

import json

import pytest

from tests.batches.scene import CREATE, MODELS, QUESTION, SAID, BatchScene
from tests.support.processes import UNHARMED

PROVIDERS = pytest.mark.parametrize("provider", list(MODELS))
_ANSWERS = {
    "openai": "/v1/batches/",
    "anthropic": "/v1/messages/batches/",
    "mistral": "/v1/batch/jobs/",
}


@PROVIDERS
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_that_dies_while_it_sends_a_batch_has_sent_it_once_or_not_at_all(
    scene: BatchScene, provider: str, when: str
) -> None:
    relay = await scene.use(provider)
    relay.hold(when, "POST", CREATE[provider])
    session = await scene.ask(QUESTION)
    doomed = scene.work()
    await relay.reached.wait()
    doomed.kill()
    assert relay.count("POST", CREATE[provider]) == (when == "after")
    assert await scene.admin.fetchval("select vendor_id from engine.batches") is None

    relay.let_go()
    await scene.end_leases()
    worker = scene.work()
    await scene.until_idle()

    await _assert_asked_once(scene, provider)
    assert SAID[provider] in (await scene.answer_of(session))[0]
    assert len(worker.logged("batch.found")) == (when == "after")
    await scene.assert_sound()


@PROVIDERS
async def test_a_worker_that_dies_with_answers_in_its_hands_costs_none(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    session = await scene.ask(QUESTION)
    doomed = scene.work()
    await scene.until_batch("open")
    vendor_id = await scene.admin.fetchval("select vendor_id from engine.batches")
    relay.hold("after", "GET", _ANSWERS[provider] + vendor_id)
    await relay.reached.wait()
    doomed.kill()
    assert await scene.items() == ["sent"]

    relay.let_go()
    await scene.end_leases()
    scene.work()
    await scene.until_idle()

    await _assert_asked_once(scene, provider)
    assert (await scene.answer_of(session))[1:] == (None, "completed")
    await scene.assert_sound()


async def test_a_worker_that_dies_after_it_has_landed_the_answer_has_landed_it(
    scene: BatchScene,
) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    doomed = scene.work()
    # Of what the provider keeps nothing is deleted before all is stored.
    relay.hold_any("DELETE")
    await relay.reached.wait()
    doomed.kill()
    assert await scene.items() == ["done"]
    relay.let_go()
    scene.work()
    await scene.until_idle()

    await _assert_asked_once(scene, "mistral")
    assert (await scene.answer_of(session))[1:] == (None, "completed")
    await scene.assert_sound()


async def test_two_workers_send_each_question_once(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    for _ in range(2):
        await scene.work(**UNHARMED).ready()
    for _ in range(12):
        await scene.ask(QUESTION)
    await scene.until_idle()

    assert await scene.count("status = 'completed'") == 12
    sent = [json.loads(body) for path, body in relay.bodies if path == CREATE["mistral"]]
    asked = [it["custom_id"] for job in sent for it in job["requests"]]
    assert len(asked) == len(set(asked)) == 12
    assert len(await scene.calls()) == 12
    assert set(await scene.fences()) == {2}
    await scene.assert_sound()


async def _assert_asked_once(scene: BatchScene, provider: str) -> None:
    relay = scene.relays[provider]
    assert relay.count("POST", CREATE[provider]) == 1
    assert not relay.count("POST", "/v1/responses")
    assert not relay.count("POST", "/v1/messages")
    assert not relay.count("POST", "/v1/chat/completions")
    assert len(await scene.calls()) == 1
