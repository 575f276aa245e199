"""Questions that a batch does not answer, and runs that do not wait for it to the end."""

import json
from typing import Any
from uuid import UUID

import pytest

from tests.batches.relay import Change, each_line
from tests.batches.scene import CREATE, MODELS, QUESTION, BatchScene
from tests.support.identities import ADA
from tests.support.processes import until

PROVIDERS = pytest.mark.parametrize("provider", list(MODELS))
DIRECT = {
    "openai": "/v1/responses",
    "anthropic": "/v1/messages",
    "mistral": "/v1/chat/completions",
}


@PROVIDERS
async def test_a_question_that_the_provider_refuses_ends_its_run_as_if_asked_directly(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    relay.changes.append(each_line("/results" if provider == "anthropic" else "/content", _refused))
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert await scene.answer_of(session) == ("", "model_refused", "incomplete")
    assert not relay.count("POST", DIRECT[provider])
    (call,) = await scene.calls()
    assert (call["outcome"], call["input_tokens"], call["cost_usd"]) == ("model_refused", 0, 0)
    await scene.assert_sound()


@PROVIDERS
async def test_a_batch_that_expires_leaves_its_questions_to_be_asked_directly_at_the_full_price(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    relay.changes.append(_expires(provider))
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert relay.count("POST", DIRECT[provider]) == 1
    (call,) = await scene.calls()
    assert call["price_factor"] == 1
    await scene.assert_sound()


async def test_a_batch_that_is_refused_is_asked_directly(scene: BatchScene) -> None:
    relay = await scene.use("mistral")

    def refuse(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        is_batch = (method, path) == ("POST", CREATE["mistral"])
        return (403, b'{"message": "no batches for you"}') if is_batch else (status, body)

    relay.changes.append(refuse)
    session = await scene.ask(QUESTION)
    worker = scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert len(worker.logged("batch.refused")) == 1
    assert relay.count("POST", DIRECT["mistral"]) == 1
    await scene.assert_sound()


async def test_a_provider_that_hangs_holds_up_no_other(scene: BatchScene) -> None:
    hanging = await scene.use("anthropic")
    hanging.hold("before", "POST", CREATE["anthropic"])
    await scene.ask(QUESTION)
    scene.used.add("mistral")
    worker = scene.work()
    await hanging.reached.wait()

    await scene.use("mistral")
    session = await scene.ask(QUESTION)
    await scene.until_count("status = 'completed'")

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert worker.is_alive
    hanging.let_go()
    await scene.until_idle()


@PROVIDERS
async def test_a_batch_that_certainly_was_not_made_is_sent_again_without_a_search(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    left = [429, 429]

    def limit(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        is_batch = (method, path) == ("POST", CREATE[provider])
        return (left.pop(), b"{}") if is_batch and left else (status, body)

    relay.changes.append(limit)
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert await scene.items() == ["done"]
    # Among a stranger's batches of this size, Anthropic's could not be told for hours.
    assert relay.count("GET", CREATE[provider]) == 0
    assert relay.count("POST", CREATE[provider]) == 3
    await scene.assert_sound()


async def test_a_refused_question_is_asked_of_another_model_where_the_row_names_one(
    scene: BatchScene,
) -> None:
    await scene.use("anthropic")
    relay = await scene.use("mistral", fallback_models=[f"anthropic:{MODELS['anthropic']}"])
    relay.changes.append(each_line("/content", _refused))
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert scene.relays["anthropic"].count("POST", CREATE["anthropic"]) == 1
    assert len(await scene.calls()) == 2
    await scene.assert_sound()


async def test_a_cancelled_run_that_waits_to_be_sent_is_not_sent(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    worker = scene.work(MODEL_BATCH_DELAY_S="5", MODEL_BATCH_POLL_S="0.3")
    await scene.until_count("status = 'ready' and run_after > now() + interval '1 hour'")
    (run,) = await scene.chat.runs(session)
    await scene.chat.ada.cancel(run["id"])

    assert await scene.count("status = 'cancelled'") == 1
    await scene.until_items()
    assert not relay.count("POST", CREATE["mistral"])
    assert worker.is_alive
    assert await scene.calls() == []
    await scene.assert_sound()


async def test_what_the_provider_keeps_is_not_deleted_before_each_answer_is_stored(
    scene: BatchScene,
) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    scene.work(MODEL_BATCH_POLL_S="1")
    await scene.until_batch("open")
    (run,) = await scene.chat.runs(session)
    holding = await scene.chat.line().open()
    async with holding.transaction():
        await holding.execute("select from engine.runs where id = $1 for update", run["id"])

        async def read_twice() -> bool:
            return sum(path.endswith("/content") for _, path in relay.seen) >= 2

        await until(read_twice, 30)
        assert await scene.items() == ["sent"]
        assert not any(method == "DELETE" for method, _ in relay.seen)
    await scene.until_idle()

    assert not relay.count("POST", "/v1/chat/completions")
    assert len(await scene.calls()) == 1
    assert (await scene.answer_of(session))[1:] == (None, "completed")
    await scene.assert_sound()


@pytest.mark.parametrize("gone", ["cancelled", "deleted"])
async def test_an_answer_that_nobody_waits_for_is_paid_by_who_asked(
    scene: BatchScene, gone: str
) -> None:
    relay = await scene.use("mistral")
    session = await scene.ask(QUESTION)
    worker = scene.work(MODEL_BATCH_POLL_S="4")
    await scene.until_batch("open")
    await _leave(scene, session, gone)
    await scene.until_batch("ended")

    (call,) = await scene.calls()
    assert (call["user_id"], call["outcome"]) == (ADA.sub, "completed")
    assert call["output_tokens"] > 0
    assert relay.count("POST", CREATE["mistral"]) == 1
    assert worker.is_alive


async def _leave(scene: BatchScene, session: UUID, gone: str) -> None:
    if gone == "deleted":
        await scene.chat.ada.delete("chat_sessions", session)
        return
    (run,) = await scene.chat.runs(session)

    async def waits() -> bool:
        return await scene.count("status = 'ready'") == 1

    await until(waits)
    await scene.chat.ada.cancel(run["id"])
    assert await scene.count("status = 'cancelled'") == 1


def _refused(line: dict[str, Any]) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": "no"}
    if "result" in line:
        told = {"type": "errored", "error": {"type": "error", "error": error}}
        return {"custom_id": line["custom_id"], "result": told}
    answer = {"status_code": 400, "request_id": "1", "body": {"error": error}}
    return {"custom_id": line["custom_id"], "response": answer, "error": None}


def _expires(provider: str) -> Change:
    if provider == "anthropic":
        return each_line("/results", lambda it: {**it, "result": {"type": "expired"}})
    words = {
        "openai": {"status": "expired", "output_file_id": None},
        "mistral": {"status": "TIMEOUT_EXCEEDED", "output_file": None},
    }[provider]

    def change(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method == "GET" and path.startswith(CREATE[provider] + "/"):
            return status, json.dumps({**json.loads(body), **words}).encode()
        return status, body

    return change
