"""A real worker before a mock server: each call in the ledger, budgets and caches in its way."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest_asyncio

from backend.integrations.supabase.service_role import create_service_role
from tests.faults.scene import Scene
from tests.models.servers import USAGE, Scripted, Unreliable
from tests.models.test_end_to_end import answer_of, start_worker
from tests.support.chat import open_chat
from tests.support.cluster import Database
from tests.support.identities import ADA
from tests.support.processes import open_workshop

QUESTION = "How tall is the Brocken?"
ANSWER = "1,141 metres."


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    """Yield a project whose assistant is OpenAI's."""
    service_url = await create_service_role(database.url("postgres"))
    async with AsyncExitStack() as stack:
        chat = await open_chat(database, stack)
        await chat.configure(backoff_s=0.05, backoff_limit_s=0.2)
        await chat.admin.execute("update public.assistants set model = 'openai:gpt-5.4'")
        workshop = stack.enter_context(open_workshop(service_url))
        yield Scene(chat, workshop, stack)


async def test_usage_and_cost_are_those_of_the_server_to_the_token(
    scene: Scene, scripted: Scripted
) -> None:
    scripted.will_say("Brocken", {"content": ANSWER, "usage": USAGE})
    sessions = [await scene.ask(QUESTION) for _ in range(5)]
    start_worker(scene, scripted)
    await scene.until_idle()

    assert [(await answer_of(scene, it))[0] for it in sessions] == [ANSWER] * 5
    (day,) = await scene.chat.ada.fetch("select * from public.usage_by_day")
    assert len(scripted.requests()) == day["calls"] == 5
    assert (day["user_id"], day["model"]) == (ADA.sub, "openai:gpt-5.4")
    assert (day["input_tokens"], day["output_tokens"]) == (21 * 5, 5 * 5)
    assert (day["estimated_calls"], day["unpriced_calls"]) == (0, 0)
    assert day["cost_usd"] == 5 * (21 * Decimal("2.5") + 5 * Decimal(15)) / 1_000_000
    runs = await scene.chat.admin.fetch("select run_id from engine.model_calls")
    assert {row["run_id"] for row in runs} == {
        run["id"] for it in sessions for run in await scene.chat.runs(it)
    }
    await scene.assert_sound()


async def test_each_try_is_a_call_of_its_own_and_what_was_refused_cost_nothing(
    scene: Scene, unreliable: Unreliable
) -> None:
    unreliable.will_fail(429, retry_after=1)
    unreliable.will_break("disconnect", after_chunks=6)
    unreliable.will({"type": "reply", "text": ANSWER, "times": 2})
    session = await scene.ask(QUESTION)
    start_worker(scene, unreliable)
    await scene.until_idle()

    assert (await answer_of(scene, session))[0] == ANSWER
    rows = await scene.chat.admin.fetch("select * from engine.model_calls order by at")
    assert len(rows) == len(unreliable.requests()) == 3
    assert [row["outcome"] for row in rows][0::2] == ["model_rate_limited", "completed"]
    assert [row["is_estimated"] for row in rows] == [False, True, False]
    assert rows[0]["input_tokens"] == 0


async def test_a_run_over_the_budget_ends_with_a_code_that_says_so(
    scene: Scene, scripted: Scripted
) -> None:
    scripted.will_say("Brocken", {"content": ANSWER, "usage": USAGE})
    await scene.chat.admin.execute(
        "insert into engine.budgets (scope, period, hard_tokens) values ('user', 'day', 20)"
    )
    session, late = await scene.ask(QUESTION), await scene.ask(QUESTION)
    worker = start_worker(scene, scripted, WORKER_CONCURRENCY="1")
    await scene.until_idle()

    assert (await answer_of(scene, session))[0] == ANSWER
    assert (await answer_of(scene, late))[1] == "budget_exceeded"
    assert len(scripted.requests()) == 1
    (told,) = worker.logged("budget.exceeded")
    assert told["limit"] == "user_tokens_per_day"
    await scene.assert_sound()


async def test_an_assistant_that_opts_in_answers_the_same_question_once(
    scene: Scene, scripted: Scripted
) -> None:
    scripted.will_say("Brocken", {"content": ANSWER, "usage": USAGE})
    await scene.chat.admin.execute('update public.assistants set options = \'{"cache": "user"}\'')
    sessions = [await scene.ask(QUESTION) for _ in range(4)]
    start_worker(scene, scripted)
    await scene.until_idle()

    assert [(await answer_of(scene, it))[0] for it in sessions] == [ANSWER] * 4
    assert len(scripted.requests()) == 1
    outcomes = await scene.chat.admin.fetch(
        "select outcome, count(*) as n from engine.model_calls group by outcome order by outcome"
    )
    assert [tuple(row) for row in outcomes] == [("cached", 3), ("completed", 1)]
    (day,) = await scene.chat.ada.fetch("select * from public.usage_by_day")
    assert (day["calls"], day["input_tokens"]) == (4, 21)


async def test_a_key_in_vault_is_enough(scene: Scene, scripted: Scripted) -> None:
    await scene.chat.admin.execute(
        "create schema vault; create view vault.decrypted_secrets as"
        " select 'assistants_openai_api_key' as name, 'sk-of-vault' as decrypted_secret;"
        " grant usage on schema vault to postgres;"
        " grant select on vault.decrypted_secrets to postgres"
    )
    scripted.will_say("Brocken", {"content": ANSWER, "usage": USAGE})
    session = await scene.ask(QUESTION)
    worker = start_worker(scene, scripted, OPENAI_API_KEY="", MODEL_KEYS_IN_VAULT="openai")
    await scene.until_idle()

    assert (await answer_of(scene, session))[:2] == (ANSWER, None)
    assert "sk-of-vault" not in worker.log_text()
