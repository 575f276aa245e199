"""Budgets, and what is reserved and spent of them."""

from typing import Any
from uuid import uuid4

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import ADA
from tests.support.usage import model_call

CHEAP = "openai:gpt-6-luna"
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
