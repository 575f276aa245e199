"""Budgets: what is spent, and what is refused then, in the database itself."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.db.spending import CHEAP, allow, reserve, spend, state
from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import ADA, BOB, SERVICE, user
from tests.support.refusals import refused

MEMBER = user("user_2nia", org_id="org_1")


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
