"""Batches that have ended, and whose answers cannot be had at once, or not all of them be read."""

from typing import Any

import pytest

from tests.batches.relay import Change, each_line
from tests.batches.scene import CREATE, MODELS, QUESTION, BatchScene

PROVIDERS = pytest.mark.parametrize("provider", list(MODELS))
_MISSING = (404, b'{"error": {"type": "not_found_error", "message": "not yet"}}')
_BATCH = CREATE["mistral"] + "/"
_ANSWERS = {"anthropic": "/results", "mistral": "/content", "openai": "/content"}
_DIRECT = "/v1/chat/completions"


@PROVIDERS
async def test_answers_that_are_missing_for_a_moment_are_not_given_up(
    scene: BatchScene, provider: str
) -> None:
    relay = await scene.use(provider)
    # More often than a batch itself may be.
    relay.changes.append(_is_missing(7, _ANSWERS[provider]))
    session = await scene.ask(QUESTION)
    worker = scene.work(MODEL_BATCH_POLL_S="0.1")
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert await scene.items() == ["done"]
    (call,) = await scene.calls()
    assert float(call["price_factor"]) == 0.5
    assert not worker.logged("batch.gone")
    await scene.assert_sound()


async def test_a_batch_that_is_missing_for_a_moment_is_not_given_up(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    relay.changes.append(_is_missing(3, ""))
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert await scene.items() == ["done"]
    assert not relay.count("POST", _DIRECT)
    await scene.assert_sound()


async def test_a_batch_that_stays_missing_leaves_its_questions_to_be_asked_directly(
    scene: BatchScene,
) -> None:
    relay = await scene.use("mistral")
    relay.changes.append(_is_missing(1000, ""))
    session = await scene.ask(QUESTION)
    worker = scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    assert relay.count("POST", _DIRECT) == 1
    assert len(worker.logged("batch.gone")) == 1
    await scene.assert_sound()


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "x", "response": null}'])
@pytest.mark.parametrize("provider", ["anthropic", "mistral"])
async def test_a_line_that_cannot_be_read_holds_up_no_other(
    scene: BatchScene, provider: str, line: str
) -> None:
    relay = await scene.use(provider)

    def spoil(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        is_file = method == "GET" and path.endswith(_ANSWERS[provider])
        return status, line.encode() + b"\n" + body if is_file else body

    relay.changes.append(spoil)
    for _ in range(3):
        await scene.ask(QUESTION)
    worker = scene.work(MODEL_BATCH_DELAY_S="1")
    await scene.until_idle()

    assert await scene.items() == ["done"] * 3
    assert worker.logged("batch.line_unreadable")
    assert len(await scene.calls()) == 3
    await scene.assert_sound()


async def test_a_file_that_is_none_is_asked_for_again(scene: BatchScene) -> None:
    relay = await scene.use("mistral")
    left = [b"<html>", b'{"detail": "busy"}']

    def stand_in(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        is_file = method == "GET" and path.endswith("/content")
        return status, left.pop() if is_file and left else body

    relay.changes.append(stand_in)
    await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert await scene.items() == ["done"]
    assert not left
    assert not relay.count("POST", _DIRECT)


@pytest.mark.parametrize("tokens", [10**20, -5])
async def test_counts_that_nobody_can_have_counted_are_estimated(
    scene: BatchScene, tokens: int
) -> None:
    relay = await scene.use("mistral")

    def count(line: dict[str, Any]) -> dict[str, Any]:
        usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": tokens}
        line["response"]["body"] |= {"usage": usage, "model": "m" * 201}
        return line

    relay.changes.append(each_line("/content", count))
    session = await scene.ask(QUESTION)
    scene.work()
    await scene.until_idle()

    assert (await scene.answer_of(session))[1:] == (None, "completed")
    (call,) = await scene.calls()
    assert call["is_estimated"]
    assert call["model"] == MODELS["mistral"]
    assert 0 < call["input_tokens"] < 10_000
    await scene.assert_sound()


async def test_an_answer_whose_bill_the_database_refuses_takes_no_other_with_it(
    scene: BatchScene,
) -> None:
    relay = await scene.use("mistral")
    await scene.admin.execute(
        "alter table engine.model_calls add constraint trial_check check (model <> 'poison')"
    )
    poisoned: list[str] = []

    def poison(line: dict[str, Any]) -> dict[str, Any]:
        poisoned[:] = poisoned or [line["custom_id"]]
        if line["custom_id"] in poisoned:
            line["response"]["body"]["model"] = "poison"
        return line

    relay.changes.append(each_line("/content", poison))
    for _ in range(3):
        await scene.ask(QUESTION)
    worker = scene.work(MODEL_BATCH_DELAY_S="1")
    await scene.until_idle()

    assert await scene.items() == ["done"] * 3
    assert await scene.count("status = 'completed'") == 3
    assert len(await scene.calls()) == 2
    (told,) = worker.logged("batch.answer_refused")
    assert told["item"] == poisoned[0]


def _is_missing(times: int, path_end: str) -> Change:
    """Return a change into 404 of the first answers at addresses that end so, or at the batch's own."""
    left = [None] * times

    def change(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        is_it = path.endswith(path_end) if path_end else path.startswith(_BATCH)
        if method == "GET" and is_it and left:
            left.pop()
            return _MISSING
        return status, body

    return change
