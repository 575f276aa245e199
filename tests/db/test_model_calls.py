"""The ledger: calls are recorded once, priced by the operator's dates, and counted by day."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import ADA, ANONYMOUS, BOB, user
from tests.support.usage import model_call

DAY_S = 86400


async def record(chat: Chat, *calls: dict[str, Any]) -> int:
    return int((await chat.worker.call("record_calls", list(calls)))["recorded"])


async def costs(chat: Chat) -> list[Decimal | None]:
    rows = await chat.admin.fetch("select cost_usd from engine.model_calls order by at, id")
    return [row["cost_usd"] for row in rows]


async def price(chat: Chat, model: str, usd: float, *, days_ago: float = 1, **columns: Any) -> None:
    """The operator pays so much for a million tokens, of input and of output, since then."""
    row = {"input_usd": usd, "output_usd": usd, **columns}
    numbers = ", ".join(f"${number}" for number, _ in enumerate(row, 3))
    await chat.admin.execute(
        f"insert into engine.model_prices (model, valid_from, {', '.join(row)})"
        f" values ($1, now() - make_interval(secs => $2::float8), {numbers})",
        model,
        days_ago * DAY_S,
        *row.values(),
    )


async def test_a_call_is_recorded_with_all_that_is_known_of_it(chat: Chat) -> None:
    run = uuid4()
    told = model_call(
        run_id=str(run),
        user_id=ADA.sub,
        org_id="org_1",
        assistant_id=str(DEMO_ASSISTANT),
        cached_tokens=40,
        cache_write_tokens=20,
        reasoning_tokens=7,
        is_estimated=True,
        outcome="cancelled",
        asked_model="gpt-5",
        price_factor=0.5,
        age_s=60,
    )

    assert await record(chat, told) == 1

    row = dict(await chat.admin.fetchrow("select * from engine.model_calls"))
    assert await chat.admin.fetchval(
        "select clock_timestamp() - at between '60 s' and '90 s' from engine.model_calls"
    )
    del row["at"], told["age_s"]
    assert {name: str(value) for name, value in row.items()} == {
        name: str(value) for name, value in told.items()
    }


async def test_told_twice_a_call_is_one_row_and_counts_once(chat: Chat) -> None:
    call, other = model_call(user_id=ADA.sub), model_call(user_id=ADA.sub)

    assert await record(chat, call) == 1
    assert await record(chat, call, other) == 1

    (day,) = await chat.ada.fetch("select * from public.usage_by_day")
    assert (day["calls"], day["input_tokens"], day["output_tokens"]) == (2, 200, 20)
    assert day["cost_usd"] == Decimal("0.02")


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"cached_tokens": -1},
        {"cache_write_tokens": -1},
        {"reasoning_tokens": -1},
        {"duration_ms": -1},
        {"first_token_ms": -1},
        {"cost_usd": -1},
        {"outcome": "No prose"},
        {"provider": "Open AI"},
        {"model": ""},
        {"model": "x" * 201},
        {"asked_model": ""},
        {"asked_model": "x" * 201},
        {"id": None},
        {"usage": None, "input_tokens": None},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_whole(
    empty_chat: Chat, wrong: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await record(empty_chat, model_call(), model_call(**wrong))

    assert await empty_chat.admin.fetchval("select count(*) from engine.model_calls") == 0


async def test_what_is_left_out_is_zero_or_unknown(chat: Chat) -> None:
    await chat.admin.execute(
        "insert into engine.model_calls (id, at, provider, model, outcome, duration_ms)"
        " values (gen_random_uuid(), now(), 'openai', 'm', 'completed', 0)"
    )

    row = await chat.admin.fetchrow("select * from engine.model_calls")
    assert {value for name, value in row.items() if name.endswith("_tokens")} == {0}
    assert (row["is_estimated"], row["cost_usd"]) == (False, None)


async def test_the_operators_price_of_the_time_of_the_call_stands_in_for_the_list(
    chat: Chat,
) -> None:
    await price(chat, "openai:gpt-5.4", 1000, days_ago=10)
    await price(chat, "openai:gpt-5.4", 2000, days_ago=2)
    await price(chat, "openai:gpt-5.4", 9000, days_ago=-1)

    await record(
        chat,
        *(model_call(age_s=days * DAY_S) for days in (11, 3, 0)),
        model_call(model="gpt-5.4-mini", age_s=-1),
    )

    assert await costs(chat) == [Decimal(it) for it in ("0.01", "0.11", "0.22", "0.01")]


async def test_the_price_of_the_name_that_was_asked_holds_for_its_versions(chat: Chat) -> None:
    await price(chat, "openai:*", 1)
    await price(chat, "openai:gpt-9", 2000)
    await price(chat, "openai:gpt-9-b", 3000)
    await price(chat, "openai:gpt-9-c", 4000, days_ago=-1)
    answered = ["gpt-9-a", "gpt-9-b", "gpt-9-c"]

    for age_s, model in enumerate(answered):
        told = {"model": model, "asked_model": "gpt-9", "age_s": 60 - age_s}
        await record(chat, model_call(input_tokens=1000, output_tokens=0, **told))

    assert await costs(chat) == [Decimal(2), Decimal(3), Decimal(2)]


async def test_each_kind_of_token_has_its_price(chat: Chat) -> None:
    await price(chat, "openai:gpt-5.4", 1, output_usd=10, cached_usd=0.1, cache_write_usd=2)
    kinds = {"cached_tokens": 400_000, "cache_write_tokens": 100_000, "output_tokens": 10_000}

    await record(chat, model_call(input_tokens=1_000_000, reasoning_tokens=5_000, **kinds))

    assert await costs(chat) == [Decimal("0.5") + Decimal("0.04") + Decimal("0.2") + Decimal("0.1")]


async def test_cached_tokens_without_a_price_cost_what_others_do(chat: Chat) -> None:
    await price(chat, "openai:gpt-5.4", 1)

    await record(chat, model_call(input_tokens=100, cached_tokens=40, cache_write_tokens=30))

    assert await costs(chat) == [Decimal("0.00011")]


async def test_a_price_for_all_models_of_a_provider_is_for_those_without_one(chat: Chat) -> None:
    await price(chat, "ollama:*", 0)
    await price(chat, "ollama:large", 1000, days_ago=5)

    for model in ("llama3.2", "large"):
        await record(chat, model_call(provider="ollama", model=model, cost_usd=None))
    await record(chat, model_call(provider="vllm", model="llama3.2", cost_usd=None))

    assert await costs(chat) == [Decimal(0), Decimal("0.11"), None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "gpt-5.4"},
        {"input_usd": -1},
        {"output_usd": -1},
        {"cached_usd": -1},
        {"cache_write_usd": -1},
    ],
    ids=str,
)
async def test_a_price_is_of_a_model_and_not_negative(chat: Chat, wrong: dict[str, Any]) -> None:
    model = str(wrong.pop("model", "openai:gpt-5.4"))

    with pytest.raises(asyncpg.CheckViolationError):
        await price(chat, model, 1, **wrong)


async def test_an_unknown_price_is_null_and_counted_and_never_zero(chat: Chat) -> None:
    for cost in (None, "0.03", None):
        await record(chat, model_call(user_id=ADA.sub, cost_usd=cost))
    await record(chat, model_call(user_id=ADA.sub, model="own", cost_usd=None))
    refused = model_call(user_id=BOB.sub, cost_usd=None, input_tokens=0, output_tokens=0)
    await record(chat, refused)

    days = await chat.ada.fetch("select * from public.usage_by_day order by model")

    assert [(it["model"], it["cost_usd"], it["unpriced_calls"]) for it in days] == [
        ("openai:gpt-5.4", Decimal("0.03"), 2),
        ("openai:own", None, 1),
    ]
    assert await chat.bob.value("select unpriced_calls from public.usage_by_day") == 0


async def test_usage_is_told_by_day_model_assistant_and_user(chat: Chat) -> None:
    member = user("user_2nia", org_id="org_1")
    admin = user("user_2una", org_id="org_1", org_role="org:admin")
    asked: list[dict[str, Any]] = [
        {"user_id": ADA.sub},
        {"user_id": ADA.sub, "age_s": 2 * DAY_S, "is_estimated": True},
        {"user_id": ADA.sub, "assistant_id": str(DEMO_ASSISTANT)},
        {"user_id": ADA.sub, "org_id": "org_1"},
        {"user_id": member.sub, "org_id": "org_1", "model": "other"},
        {"user_id": None},
    ]
    await record(chat, *(model_call(**it) for it in asked))

    sql = "select user_id, model, calls from public.usage_by_day order by 1, 2"
    own = await chat.ada.fetch("select * from public.usage_by_day order by day, assistant_id")
    assert [(it["estimated_calls"], it["assistant_id"]) for it in own] == [
        (1, None),
        (0, DEMO_ASSISTANT),
        (0, None),
    ]
    assert own[0]["day"] < own[1]["day"] == own[2]["day"]
    assert [tuple(it) for it in await chat.browser(member).fetch(sql)] == [
        (member.sub, "openai:other", 1)
    ]
    assert [tuple(it) for it in await chat.browser(admin).fetch(sql)] == [
        (ADA.sub, "openai:gpt-5.4", 1),
        (member.sub, "openai:other", 1),
    ]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await chat.browser(ANONYMOUS).fetch(sql)


@pytest.mark.parametrize("days", [0, 36501])
async def test_how_long_calls_are_kept_has_bounds(chat: Chat, days: int) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.configure(model_calls_kept_days=days)


async def test_a_model_has_one_price_at_a_time_and_from_now_on_where_nothing_is_said(
    chat: Chat,
) -> None:
    await chat.admin.execute(
        "insert into engine.model_prices (model, input_usd, output_usd)"
        " values ('openai:gpt-5.4', 1000, 1000)"
    )
    await record(chat, model_call(age_s=60), model_call())

    assert await costs(chat) == [Decimal("0.01"), Decimal("0.11")]
    with pytest.raises(asyncpg.UniqueViolationError):
        await chat.admin.execute(
            "insert into engine.model_prices select * from engine.model_prices"
        )
