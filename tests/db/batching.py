"""Questions on their way through a batch, a step at a time."""

from typing import Any

from tests.support.chat import Chat
from tests.support.usage import model_call
from tests.support.worker import Claim

DIGEST = "0" * 64
HOUR_S = 3600


async def queue(chat: Chat, claim: Claim, **fields: Any) -> Any:
    item = {
        "run_id": claim["run_id"],
        "digest": DIGEST,
        "provider": "openai",
        "model": "gpt",
        "grouping": "{}",
        "body": "{}",
        **fields,
    }
    return await chat.worker.call("queue_batched", item)


async def take(chat: Chat, holder: str = "one", *, delay_s: float = 0, lease_s: float = 60) -> Any:
    return await chat.worker.call("take_batches", holder, ["openai"], delay_s, lease_s)


async def sent(chat: Chat) -> tuple[Claim, Any]:
    """Return a claimed run whose question is in a batch, and the batch."""
    claim = await chat.claimed()
    await queue(chat, claim)
    (batch,) = await take(chat)
    return claim, batch


async def land(chat: Chat, batch: Any, *, is_last: bool = True, state: str = "done") -> Any:
    answer = {"state": "succeeded", "body": "{}"} if state == "done" else None
    call = model_call(cost_usd="0.01") if answer else None
    results = [{"id": it, "state": state, "answer": answer, "call": call} for it in batch["asked"]]
    return await chat.worker.call("land_batch", batch["id"], results, is_last)


async def age(chat: Chat, seconds: float) -> None:
    """All questions and batches are older by so much, and nobody looks after them."""
    for table in ("batches", "batch_items"):
        await chat.admin.execute(
            f"update engine.{table} set created_at = created_at - make_interval(secs => $1)",
            seconds,
        )
    await chat.admin.execute("update engine.batches set lease_until = null, looks_at = now()")


async def items(chat: Chat) -> list[tuple[str, str]]:
    rows = await chat.admin.fetch("select state, body from engine.batch_items order by created_at")
    return [(row["state"], row["body"]) for row in rows]


async def wait_s(chat: Chat, claim: Claim) -> float:
    sql = "select extract(epoch from run_after - clock_timestamp()) from engine.runs where id = $1"
    return float(await chat.admin.fetchval(sql, claim["run_id"]))
