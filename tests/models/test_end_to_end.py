"""A user's message, a real worker and a server that speaks a provider's API: one stored answer."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.models.accounts import KEY
from tests.models.servers import Control, Scripted, Unreliable
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.oracles import text_of
from tests.support.processes import UNHARMED, WorkerProcess, open_workshop

QUESTION = "How tall is the Brocken?"
TOOL = {
    "type": "function",
    "function": {
        "name": "measure",
        "description": "Measures a mountain.",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    """Yield a project whose assistant is OpenAI's, until a test says otherwise."""
    service_url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        await chat.admin.execute(
            "update public.assistants set model = 'openai:gpt-5.4', instructions = 'Be brief.'"
        )
        workshop = stack.enter_context(open_workshop(service_url))
        yield Scene(chat, workshop, stack)


def start_worker(
    scene: Scene, server: Control, name: str = "openai", **settings: str
) -> WorkerProcess:
    """Return a worker with an account at this server, whose libraries say all that they can."""
    account = {f"{name}_api_key": KEY, f"{name}_base_url": server.url_of(name)}
    told = {variable.upper(): value for variable, value in account.items()}
    loud = {"OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "MISTRAL_DEBUG": "true"}
    return scene.workshop.start(**{**told, **loud, **UNHARMED, "LOG_LEVEL": "DEBUG", **settings})


async def answer_of(scene: Scene, session: UUID) -> tuple[str, str | None, dict[str, Any] | None]:
    """Return the text, the error and the usage of the session's only run."""
    (run,) = await scene.chat.runs(session)
    row = await scene.chat.outcome(run["id"])
    return text_of(row), row["error"], run["usage"]


async def test_a_message_gets_one_stored_answer_with_what_it_cost(
    scene: Scene, scripted: Scripted, name: str
) -> None:
    await scene.chat.admin.execute("update public.assistants set model = $1", f"{name}:gpt-5.4")
    usage = {"input_tokens": 21, "output_tokens": 5}
    scripted.will_say("Brocken", {"content": "1,141 metres. 🏔️", "usage": usage}, chunkSize=4)
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, scripted, name)
    await scene.until_idle()
    (call,) = await scene.admin.fetch("select * from engine.model_calls")
    # aimock counts nothing for Mistral's client.
    assert call["is_estimated"] == (name == "mistral")
    counted = {it: call[it] for it in usage} if name == "mistral" else usage
    assert all(counted.values())
    assert await answer_of(scene, session) == (
        "1,141 metres. 🏔️",
        None,
        {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
            **counted,
            "model": f"{name}:gpt-5.4",
        },
    )
    (request,) = scripted.requests()
    assert request["body"]["model"] == "gpt-5.4"
    for secret in (QUESTION, "1,141", KEY):
        assert secret not in worker.log_text()
    await scene.assert_sound()


@pytest.mark.parametrize(
    ("status", "code"), [(429, "model_rate_limited"), (503, "model_unavailable")]
)
async def test_a_rate_limit_is_waited_out_and_leaves_one_answer(
    scene: Scene, unreliable: Unreliable, status: int, code: str
) -> None:
    unreliable.will_fail(status, retry_after=1)
    unreliable.will({"type": "reply", "text": "1,141 metres."})
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, unreliable)
    await scene.until_idle()
    text, error, _ = await answer_of(scene, session)
    assert (text, error) == ("1,141 metres.", None)
    assert await scene.fences() == [1]
    assert [request["status"] for request in unreliable.requests()] == [status, 200]
    assert unreliable.verdict()["findings"] == []
    (failed,) = worker.logged("model.call_failed")
    assert (failed["code"], failed["status"]) == (code, status)
    (run,) = await scene.chat.runs(session)
    assert failed["run_id"] == str(run["id"])
    await scene.assert_sound()


async def test_a_provider_that_says_when_it_is_back_is_asked_then(
    scene: Scene, unreliable: Unreliable
) -> None:
    # Longer than a worker waits for.
    unreliable.will_fail(503, retry_after=6)
    unreliable.will({"type": "reply", "text": "1,141 metres."})
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, unreliable)
    await scene.until_idle()
    text, error, _ = await answer_of(scene, session)
    assert (text, error) == ("1,141 metres.", None)
    assert not worker.logged("run.deferred")
    # It was asked and has failed: whoever refuses this run alone is not asked for an hour.
    assert await scene.count("failures = 1") == 1
    assert unreliable.verdict()["findings"] == []


async def test_a_run_says_which_model_answered_in_another_ones_place(
    scene: Scene, unreliable: Unreliable
) -> None:
    options = {"fallback_models": ["openai:gpt-4"], "temperature": 0.7}
    await scene.admin.execute(
        "update public.assistants set model = 'nobody:x', options = $1", options
    )
    unreliable.will({"type": "reply", "text": "1,141 metres."})
    session = await scene.ask(QUESTION)
    start_worker(scene, unreliable)
    await scene.until_idle()
    (run,) = await scene.chat.ada.fetch("select model, usage from runs")
    assert (run["model"], run["usage"]["model"]) == ("nobody:x", "openai:gpt-5.6-sol")
    text, error, _ = await answer_of(scene, session)
    assert (text, error) == ("1,141 metres.", None)


async def test_streams_that_break_are_told_again_from_the_start(
    scene: Scene, unreliable: Unreliable
) -> None:
    for kind in ("disconnect", "truncate", "malformed"):
        unreliable.will_break(kind, after_chunks=6)
    unreliable.will({"type": "reply", "text": "one two three four", "times": 4})
    session = await scene.ask(QUESTION)
    start_worker(scene, unreliable)
    await scene.until_idle()
    text, error, _ = await answer_of(scene, session)
    assert (text, error) == ("one two three four", None)
    assert await scene.fences() == [4]
    assert unreliable.verdict()["errors"] == 0
    await scene.assert_sound()


async def test_a_tool_is_asked_for_and_its_result_answered(
    scene: Scene, scripted: Scripted
) -> None:
    made = {"id": "call_1", "name": "measure", "arguments": '{"name": "⛰️🏔️ Brocken"}'}
    scripted.will_say("Brocken", {"toolCalls": [made]}, chunkSize=1)
    scripted.will_say("Brocken", {"content": "It measures 1,141."}, after_tools=True)
    await scene.chat.admin.execute("update public.assistants set tools = $1", [TOOL])
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, scripted)
    await scene.until_count("status = 'requires_action'")
    (run,) = await scene.chat.runs(session)
    (call,) = run["required_action"]["tool_calls"]
    assert (call["name"], call["arguments"]) == ("measure", {"name": "⛰️🏔️ Brocken"})
    output = {"call_id": call["call_id"], "output": {"metres": 1141}}
    await scene.chat.ada.submit(run["id"], [output])
    await scene.until_idle()
    text, error, _ = await answer_of(scene, session)
    assert (text, error) == ("It measures 1,141.", None)
    told = scripted.requests()[-1]["body"]
    assert "1141" in json.dumps(told)
    # A server that cuts characters in two makes the client warn, which must not quote the user.
    assert "Brocken" not in worker.log_text()
    await scene.assert_sound()


async def test_a_key_is_replaced_without_a_restart(
    scene: Scene, unreliable: Unreliable, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk-of-yesterday", "utf-8")
    worker = start_worker(scene, unreliable, OPENAI_API_KEY="", OPENAI_API_KEY_FILE=str(secret))
    unreliable.will_fail(401)
    refused = await scene.ask(QUESTION)
    await scene.until_idle()
    assert (await answer_of(scene, refused))[1] == "model_refused"

    secret.write_text(KEY, "utf-8")
    unreliable.will_answer("", "1,141 metres.")
    session = await scene.ask(QUESTION)
    await scene.until_idle()
    assert (await answer_of(scene, session))[:2] == ("1,141 metres.", None)
    assert "sk-of-yesterday" not in worker.log_text()
    assert KEY not in worker.log_text()
    await scene.assert_sound()


async def test_a_retired_model_is_answered_for_by_its_successor(
    scene: Scene, scripted: Scripted
) -> None:
    model = "openai:gpt-4-1106-preview"
    await scene.chat.admin.execute("update public.assistants set model = $1", model)
    scripted.will_say("Brocken", {"content": "1,141 metres."})
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, scripted)
    await scene.until_idle()
    assert (await answer_of(scene, session))[:2] == ("1,141 metres.", None)
    (request,) = scripted.requests()
    assert request["body"]["model"] == "gpt-5.6-sol"
    (told,) = worker.logged("model.replaced")
    assert (told["model"], told["successor"]) == (model, "openai:gpt-5.6-sol")


async def test_a_refused_key_ends_the_run_at_once(scene: Scene, unreliable: Unreliable) -> None:
    unreliable.will_fail(401)
    session = await scene.ask(QUESTION)
    start_worker(scene, unreliable)
    await scene.until_idle()
    _, error, _ = await answer_of(scene, session)
    assert error == "model_refused"
    assert len(unreliable.requests()) == 1
    await scene.assert_sound()


async def test_another_model_takes_over_in_the_middle_and_what_was_said_is_taken_back(
    scene: Scene, unreliable: Unreliable
) -> None:
    options = {"fallback_models": ["compatible:backup"], "fallback_after_words": True}
    await scene.admin.execute("update public.assistants set options = $1", options)
    unreliable.will_break("disconnect", after_chunks=6)
    for text in ("one two three four", "1,141 metres."):
        unreliable.will({"type": "reply", "text": text})
    session = await scene.ask(QUESTION)
    backup = {"COMPATIBLE_BASE_URL": unreliable.url_of("compatible"), "COMPATIBLE_API_KEY": KEY}
    start_worker(scene, unreliable, **backup)
    await scene.until_idle()

    (run,) = await scene.chat.runs(session)
    outcome = await scene.chat.outcome(run["id"])
    assert (text_of(outcome), outcome["status"]) == ("1,141 metres.", "completed")
    events = await scene.admin.fetch(
        "select type, data from engine.events where run_id = $1 order by seq", run["id"]
    )
    (discarded,) = (it["data"] for it in events if it["type"] == "message.discarded")
    said = [it["data"] for it in events if it["type"] == "message.delta"]
    assert discarded["message_id"] == said[0]["message_id"] != str(outcome["id"])
    assert "".join(it["text"] for it in said if it["message_id"] == str(outcome["id"])) == (
        "1,141 metres."
    )
    assert await scene.fences() == [1]
    await scene.assert_sound()
