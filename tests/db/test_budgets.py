"""Budgets: what is spent, what is reserved, and what is refused then, in the database itself."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.db.test_batches import age, land, queue, take
from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import ADA, BOB, SERVICE, user
from tests.support.refusals import refused
from tests.support.usage import model_call
from tests.support.worker import Claim

CHEAP = "openai:gpt-6-luna"
MEMBER = user("user_2nia", org_id="org_1")
PLAIN = {"user_id": ADA.sub, "assistant_id": str(DEMO_ASSISTANT)}


async def allow(chat: Chat, scope: str, subject: str | None = None, **limits: Any) -> None:
    """The operator allows so much a day, or in another period."""
    row = {"scope": scope, "subject": subject, "period": "day", **limits}
    if {"soft_tokens", "soft_usd"} & limits.keys():
        row = {"cheaper_model": CHEAP, **row}
    numbers = ", ".join(f"${number}" for number, _ in enumerate(row, 1))
    await chat.admin.execute(
        f"insert into engine.budgets ({', '.join(row)}) values ({numbers})", *row.values()
    )


async def spend(chat: Chat, **fields: Any) -> None:
    """A call of 100 tokens in, 10 out and a cent, is recorded."""
    await chat.worker.call("record_calls", [model_call(**{**PLAIN, **fields})])


async def reserve(chat: Chat, tokens: int = 100, **fields: Any) -> Any:
    call = {
        "id": str(uuid4()),
        "run_id": None,
        "org_id": None,
        **PLAIN,
        "model": "openai:gpt-5.4",
        "input_tokens": tokens - 10,
        "output_tokens": 10,
        "cost_usd": None,
        "held_s": 60,
        **fields,
    }
    return await chat.worker.call("reserve_budget", call)


async def state(chat: Chat, **fields: Any) -> str:
    return str((await reserve(chat, **fields))["state"])


async def test_without_budgets_there_is_nothing_to_ask_and_nothing_is_reserved(chat: Chat) -> None:
    await spend(chat)

    assert await reserve(chat) == {"state": "none"}
    assert await chat.admin.fetchval("select count(*) from engine.budget_reservations") == 0


@pytest.mark.parametrize(
    ("scope", "subject", "others"),
    [
        ("user", ADA.sub, {"user_id": BOB.sub}),
        ("organisation", "org_1", {"org_id": "org_2"}),
        ("assistant", str(DEMO_ASSISTANT), {"assistant_id": str(uuid4())}),
    ],
)
@pytest.mark.parametrize("period", ["day", "month"])
@pytest.mark.parametrize("limits", [{"hard_tokens": 110}, {"hard_usd": Decimal("0.01")}])
async def test_a_call_is_refused_once_what_was_spent_reaches_the_limit_of_whoever_has_it(
    chat: Chat, scope: str, subject: str, others: dict[str, Any], period: str, limits: Any
) -> None:
    await allow(chat, scope, subject, period=period, **limits)
    everyone: dict[str, Any] = {"org_id": "org_1"}
    assert await state(chat, **everyone) == "free"
    await chat.admin.execute("delete from engine.budget_reservations")
    await spend(chat, **everyone, input_tokens=99, cost_usd="0.009")
    assert await state(chat, **everyone) == "free"
    await chat.admin.execute("delete from engine.budget_reservations")

    await spend(chat, **everyone, input_tokens=1, output_tokens=0, cost_usd="0.001")

    found = await reserve(chat, **everyone)
    kind = "tokens" if "hard_tokens" in limits else "usd"
    assert (found["state"], found["limit"]) == ("hard", f"{scope}_{kind}_per_{period}")
    assert f"a {period} per {scope} is used up" in found["said"]
    assert 0 < found["wait_s"] <= 86400 * (1 if period == "day" else 31)
    assert await state(chat, **{**everyone, **others}) == "free"
    await spend(chat, **{**everyone, **others})
    assert await state(chat, **everyone) == "hard"


async def test_everyones_default_is_for_each_by_themselves_and_an_own_row_in_its_place(
    chat: Chat,
) -> None:
    await allow(chat, "user", hard_tokens=100)
    await allow(chat, "user", BOB.sub, hard_tokens=200)
    await spend(chat)
    await spend(chat, user_id=BOB.sub)

    assert await state(chat) == "hard"
    assert await state(chat, user_id=BOB.sub) == "free"
    assert await state(chat, user_id="user_2nobody") == "free"
    await chat.admin.execute("delete from engine.budget_reservations")
    await spend(chat, user_id=BOB.sub)
    assert await state(chat, user_id=BOB.sub) == "hard"


async def test_a_row_of_ones_own_without_a_limit_frees_of_everyones(chat: Chat) -> None:
    await allow(chat, "user", hard_tokens=100)
    await allow(chat, "user", BOB.sub)
    await spend(chat, user_id=BOB.sub)
    await spend(chat)

    assert await state(chat, user_id=BOB.sub) == "free"
    assert await state(chat) == "hard"


async def test_another_day_and_another_month_begin_anew(chat: Chat) -> None:
    await allow(chat, "user", hard_tokens=100)
    await allow(chat, "user", period="month", hard_tokens=220)
    await spend(chat)
    assert (await reserve(chat))["limit"] == "user_tokens_per_day"

    await chat.admin.execute("update engine.spending set day = day - 1")
    assert await state(chat) == "free"
    await chat.admin.execute("delete from engine.budget_reservations")
    await spend(chat)
    assert (await reserve(chat))["limit"] == "user_tokens_per_month"
    await chat.admin.execute("update engine.spending set day = day - 40, month = month - 40")

    assert await state(chat) == "free"
    await chat.admin.execute("delete from engine.budget_reservations")
    await spend(chat, input_tokens=0, output_tokens=1, cost_usd=None)
    row = await chat.admin.fetchrow("select * from engine.spending where scope = 'user'")
    assert [int(row[it]) for it in ("day_tokens", "month_tokens")] == [1, 1]
    assert [row["day_usd"], row["month_usd"]] == [None, None]
    assert [row["day_unpriced_calls"], row["month_unpriced_calls"]] == [1, 1]


async def test_dollars_are_those_of_known_prices_and_what_lacks_one_is_counted(chat: Chat) -> None:
    async def spent() -> list[list[Any]]:
        sql = (
            "select day_usd, day_unpriced_calls, month_usd, month_unpriced_calls"
            " from engine.spending where scope = 'user'"
        )
        row = await chat.admin.fetchrow(sql)
        return [list(row.values())[:2], list(row.values())[2:]]

    await allow(chat, "user", hard_tokens=10_000)
    await reserve(chat)
    await spend(chat, cost_usd=None)
    assert await spent() == [[None, 1]] * 2
    await spend(chat, cost_usd="0.25")
    assert await spent() == [[Decimal("0.25"), 1]] * 2
    await spend(chat, cost_usd=None)
    # Nothing was spent: that needs no price.
    await spend(chat, cost_usd=None, input_tokens=0, output_tokens=0)
    assert await spent() == [[Decimal("0.25"), 2]] * 2
    await spend(chat, cost_usd="0.5")
    assert await spent() == [[Decimal("0.75"), 2]] * 2


@pytest.mark.parametrize("limits", [{"soft_tokens": 100}, {"soft_usd": Decimal("0.01")}])
async def test_above_a_soft_limit_the_cheaper_model_is_named_and_the_call_reserved(
    chat: Chat, limits: Any
) -> None:
    await allow(chat, "user", **limits, hard_tokens=1000)
    assert await state(chat) == "free"
    await spend(chat)

    found = await reserve(chat)

    assert (found["state"], found["model"]) == ("soft", CHEAP)
    assert await chat.admin.fetchval("select count(*) from engine.budget_reservations") == 2


async def test_a_hard_limit_comes_before_a_soft_one(chat: Chat) -> None:
    await allow(chat, "user", period="month", soft_tokens=1)
    await allow(chat, "assistant", hard_tokens=1)
    await spend(chat)

    found = await reserve(chat)

    assert (found["state"], found["limit"], found["model"]) == (
        "hard",
        "assistant_tokens_per_day",
        None,
    )


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


async def test_a_message_of_whoever_has_spent_it_all_is_refused_whole(chat: Chat) -> None:
    await allow(chat, "user", hard_tokens=110, period="month")
    session = await chat.ada.start_session()
    message = await chat.ada.say(session)
    await chat.worker.finish(await chat.worker.claim_one())
    await spend(chat)

    refusal = await refused(chat.ada.say(session))

    assert refusal.limit == "user_tokens_per_month"
    assert "The budget of 110 tokens a month per user is used up. Try again in " in refusal.said
    assert 0 < refusal.wait_s <= 31 * 86400
    assert len(await chat.messages(session)) == 2
    assert (await refused(chat.ada.regenerate(message))).limit == refusal.limit
    await chat.bob.say(await chat.bob.start_session())


async def test_an_organisations_and_an_assistants_budget_refuse_whoever_asks(chat: Chat) -> None:
    member = chat.browser(MEMBER)
    session, own = await member.start_session(), await chat.ada.start_session()
    await allow(chat, "organisation", "org_1", hard_usd=Decimal("0.01"))
    await spend(chat, org_id="org_1", assistant_id=None)
    assert (await refused(member.say(session))).limit == "organisation_usd_per_day"
    await chat.ada.say(own)

    await allow(chat, "assistant", str(DEMO_ASSISTANT), hard_tokens=1)
    await spend(chat, user_id=BOB.sub)

    assert (await refused(chat.ada.say(own))).limit == "assistant_tokens_per_day"


async def test_what_is_reserved_or_soft_refuses_no_message_nor_does_it_the_service(
    chat: Chat,
) -> None:
    await allow(chat, "user", hard_tokens=110, soft_tokens=1)
    session = await chat.ada.start_session()
    await reserve(chat, 1000)
    await spend(chat, input_tokens=99)
    await chat.ada.say(session)

    await spend(chat)

    await refused(chat.ada.say(session))
    await chat.browser(SERVICE).say(session, "Imported", role="user", starts_run=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "everybody"},
        {"period": "year"},
        {"hard_tokens": -1},
        {"soft_tokens": -1},
        {"hard_usd": -1},
        {"soft_usd": -1},
        {"soft_tokens": 1, "cheaper_model": None},
        {"soft_usd": 1, "cheaper_model": None},
        {"cheaper_model": "gpt"},
    ],
    ids=str,
)
async def test_a_budget_that_makes_no_sense_is_refused(
    empty_chat: Chat, wrong: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await allow(empty_chat, wrong.pop("scope", "user"), **wrong)


@pytest.mark.parametrize("subject", [None, ADA.sub])
async def test_of_each_scope_and_period_there_is_one_budget(
    chat: Chat, subject: str | None
) -> None:
    await allow(chat, "user", subject, hard_tokens=1)

    with pytest.raises(asyncpg.UniqueViolationError):
        await allow(chat, "user", subject, hard_tokens=2)


@pytest.mark.parametrize("wrong", [{"input_tokens": -20}, {"cost_usd": -1}], ids=str)
async def test_nobody_reserves_less_than_nothing(chat: Chat, wrong: dict[str, Any]) -> None:
    await allow(chat, "user", hard_tokens=1)

    with pytest.raises(asyncpg.CheckViolationError):
        await reserve(chat, **wrong)
