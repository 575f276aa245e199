"""What calls reserve of budgets: how much, how long, and while they wait for batches."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.db.batching import age, land, queue, take
from tests.db.spending import allow, reserve, spend, state
from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import BOB
from tests.support.worker import Claim


async def test_a_reservation_ends_with_its_call_or_its_run_or_after_a_while(chat: Chat) -> None:
    await allow(chat, "user", hard_tokens=100)
    claim = await chat.claimed("Hello")
    run = claim["run_id"]
    assert await state(chat, run_id=run) == "free"
    assert await state(chat) == "hard"
    # The run's own next try takes the place of its last one.
    assert await state(chat, run_id=run) == "free"

    await spend(chat, run_id=run, input_tokens=0, output_tokens=0, outcome="model_unavailable")
    assert await state(chat) == "hard"
    await spend(chat, run_id=run, input_tokens=0, output_tokens=0)
    assert await state(chat, run_id=run) == "free"
    await chat.worker.finish(claim)
    assert await state(chat) == "free"
    assert await state(chat, id=str(uuid4())) == "hard"

    await chat.admin.execute("update engine.budget_reservations set expires_at = now()")
    assert await state(chat) == "free"


async def test_a_run_that_waits_for_its_turn_holds_nothing(chat: Chat) -> None:
    await allow(chat, "assistant", str(DEMO_ASSISTANT), hard_tokens=10_000)
    claim = await chat.claimed()
    held = {"run_id": str(claim["run_id"]), "held_s": 900}
    assert await state(chat, tokens=10_000, **held) == "free"
    assert await state(chat, user_id=BOB.sub) == "hard"

    await chat.worker.defer(claim, 1000)

    assert await state(chat, user_id=BOB.sub) == "free"


async def waits_for_a_batch(chat: Chat, **fields: Any) -> Claim:
    """Return a run whose question waits for a batch, and all that may be spent is reserved for it."""
    await allow(chat, "assistant", str(DEMO_ASSISTANT), hard_tokens=100)
    claim = await chat.claimed()
    assert await state(chat, run_id=claim["run_id"], **fields) == "free"
    await queue(chat, claim)
    await chat.worker.defer(claim, None)
    return claim


async def test_runs_that_wait_for_batches_hold_what_they_may_cost_for_as_long_as_that_takes(
    chat: Chat,
) -> None:
    await chat.configure(batch_wait_s=7200)
    claim = await waits_for_a_batch(chat)
    assert await state(chat, user_id=BOB.sub) == "hard"
    (batch,) = await take(chat)
    assert await state(chat, user_id=BOB.sub) == "hard"
    sql = "select extract(epoch from expires_at - now()) from engine.budget_reservations"
    assert 7100 < await chat.admin.fetchval(sql) <= 7200

    # Asked again, and as good as sent: it costs the same when nobody waits any more.
    await chat.ada.cancel(claim["run_id"])
    assert await state(chat, user_id=BOB.sub) == "hard"
    await land(chat, batch, state="expired")

    assert await state(chat, user_id=BOB.sub) == "free"


async def test_what_was_answered_is_spent_and_not_held_as_well(chat: Chat) -> None:
    await waits_for_a_batch(chat)
    (batch,) = await take(chat)

    await land(chat, batch)

    assert await chat.admin.fetchval("select count(*) from engine.budget_reservations") == 0


async def test_what_is_not_sent_costs_nothing(chat: Chat) -> None:
    claim = await waits_for_a_batch(chat)

    await chat.ada.delete("chat_sessions", claim["session_id"])

    assert await state(chat, user_id=BOB.sub) == "free"


async def test_what_was_sent_for_somebody_who_is_gone_is_held_until_it_lands(chat: Chat) -> None:
    claim = await waits_for_a_batch(chat)
    (batch,) = await take(chat)
    await chat.ada.delete("chat_sessions", claim["session_id"])
    assert await state(chat, user_id=BOB.sub) == "hard"

    await land(chat, batch, state="expired")

    assert await state(chat, user_id=BOB.sub) == "free"


async def test_what_is_still_in_another_batch_is_held_when_one_lands(chat: Chat) -> None:
    claim = await waits_for_a_batch(chat)
    (batch,) = await take(chat)
    await queue(chat, claim, digest="1" * 64)

    await land(chat, batch, state="expired")

    assert await state(chat, user_id=BOB.sub) == "hard"


async def test_asked_directly_after_all_a_run_holds_as_any_other(chat: Chat) -> None:
    claim = await waits_for_a_batch(chat)
    await age(chat, 26 * 3600)
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    assert await state(chat, run_id=claim["run_id"]) == "free"
    assert (await queue(chat, claim))["state"] == "expired"

    await chat.worker.defer(claim, 60)

    assert await state(chat, user_id=BOB.sub) == "free"


async def test_money_is_reserved_by_the_operators_price_else_by_what_the_caller_knows(
    chat: Chat,
) -> None:
    await allow(chat, "user", hard_usd=100)
    await reserve(chat, cost_usd="0.5")
    await chat.admin.execute(
        "insert into engine.model_prices (model, valid_from, input_usd, output_usd)"
        " values ('openai:gpt-5.4', '2020-01-01', 1000000, 10000000)"
    )

    await reserve(chat, 15, cost_usd="0.5")

    rows = await chat.admin.fetch("select usd from engine.budget_reservations order by usd")
    assert [str(row["usd"]) for row in rows] == ["0.5", "105.000000000000"]
    assert (await reserve(chat))["limit"] == "user_usd_per_day"


@pytest.mark.parametrize("wrong", [{"input_tokens": -20}, {"cost_usd": -1}], ids=str)
async def test_nobody_reserves_less_than_nothing(chat: Chat, wrong: dict[str, Any]) -> None:
    await allow(chat, "user", hard_tokens=1)

    with pytest.raises(asyncpg.CheckViolationError):
        await reserve(chat, **wrong)
