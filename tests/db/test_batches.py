"""Questions that wait for a batch: each is sent once, paid once, and wakes its run once."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.races import blocked
from tests.support.usage import model_call
from tests.support.worker import Claim

DIGEST = "0" * 64
_HOUR_S = 3600


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


async def test_the_same_question_of_a_run_is_one(chat: Chat) -> None:
    claim = await chat.claimed()

    for _ in range(2):
        assert (await queue(chat, claim))["state"] == "waiting"

    (batch,) = await take(chat)
    assert len(batch["items"]) == 1
    assert (batch["is_first"], batch["items"][0]["body"]) == (True, "{}")
    assert await take(chat, "two") == []


async def test_a_run_that_has_ended_asks_nothing(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)

    assert await queue(chat, claim) == {"state": "gone"}


async def test_questions_wait_for_others_and_only_those_alike_go_together(chat: Chat) -> None:
    claim = await chat.claimed()
    await queue(chat, claim)
    await queue(chat, claim, digest="1" * 64)
    await queue(chat, claim, digest="2" * 64, grouping='{"key": "other"}')

    assert await take(chat, delay_s=60) == []
    taken = [batch for _ in range(2) for batch in await take(chat)]

    assert sorted(len(batch["items"]) for batch in taken) == [1, 2]
    assert await take(chat) == []


async def test_a_batch_is_no_larger_than_two_hundred_questions_and_sixteen_megabytes(
    chat: Chat,
) -> None:
    claim = await chat.claimed()
    for number in range(201):
        await queue(chat, claim, digest=f"{number:064x}")

    sizes = [len(batch["items"]) for _ in range(2) for batch in await take(chat)]
    assert sorted(sizes) == [1, 200]
    body = "x" * (9 * 1024 * 1024)
    for number in range(300, 302):
        await queue(chat, claim, digest=f"{number:064x}", body=body)
    sizes = [len(batch["items"]) for _ in range(2) for batch in await take(chat)]
    assert sizes == [1, 1]


async def test_whoever_takes_a_batch_after_another_knows_that_it_may_have_been_sent(
    chat: Chat,
) -> None:
    _, batch = await sent(chat)
    assert await take(chat, "two") == []
    await chat.admin.execute("update engine.batches set lease_until = clock_timestamp()")

    (again,) = await take(chat, "two")

    assert (again["id"], again["is_first"], again["state"]) == (batch["id"], False, "submitting")
    assert len(again["items"]) == 1


async def test_a_batch_that_certainly_was_not_made_is_sent_as_if_for_the_first_time(
    chat: Chat,
) -> None:
    _, batch = await sent(chat)
    await chat.admin.execute("update engine.batches set lease_until = clock_timestamp()")
    await take(chat, "two")

    # Whose lease has run out knows nothing of what the next has sent.
    unmade = [batch["id"], "one", "", 0.0]
    assert await chat.worker.call("note_batch", *unmade) == {"state": "lost"}
    unmade[1] = "two"
    assert await chat.worker.call("note_batch", *unmade) == {"state": "stored"}

    (again,) = await take(chat, "three")
    assert (again["is_first"], again["state"], again["vendor_id"]) == (True, "submitting", None)


async def test_a_late_worker_that_knows_the_id_is_heard_and_no_other(chat: Chat) -> None:
    _, batch = await sent(chat)
    await chat.admin.execute("update engine.batches set lease_until = clock_timestamp()")
    await take(chat, "two")

    late = [batch["id"], "one"]
    assert await chat.worker.call("note_batch", *late, None, 60.0) == {"state": "lost"}
    assert await chat.worker.call("note_batch", *late, "batch_1", 60.0) == {"state": "stored"}
    assert await chat.worker.call("note_batch", *late, "batch_2", 60.0) == {"state": "lost"}

    (row,) = await chat.admin.fetch("select state, vendor_id from engine.batches")
    assert tuple(row) == ("open", "batch_1")


async def test_a_run_waits_for_its_batch_whatever_it_was_told_and_spends_nothing(
    chat: Chat,
) -> None:
    await chat.configure(turn_wait_s=0, batch_wait_s=7200)
    claim, _ = await sent(chat)

    assert await chat.worker.defer(claim, None) == {"state": "deferred"}

    assert 7100 < await wait_s(chat, claim) <= 7200
    run = await chat.run(claim["run_id"])
    assert (run["waited_s"], run["priority"], run["failures"]) == (0, 10, 0)


async def test_a_run_that_waits_for_no_batch_keeps_its_priority(chat: Chat) -> None:
    claim = await chat.claimed()
    before = (await chat.run(claim["run_id"]))["priority"]

    await chat.worker.defer(claim, 1)

    assert (await chat.run(claim["run_id"]))["priority"] == before


async def test_what_waits_for_a_batch_stands_before_nothing_else_of_its_user(chat: Chat) -> None:
    for _ in range(3):
        claim = await chat.claimed()
        await queue(chat, claim)
        await chat.worker.defer(claim, None)

    session = await chat.ada.start_session()
    await chat.ada.say(session, "And now?")

    (run,) = await chat.runs(session)
    assert run["turn_at"] <= await chat.admin.fetchval("select clock_timestamp()")


async def test_no_question_is_in_a_batch_that_is_not_there(chat: Chat) -> None:
    await sent(chat)

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.admin.execute("update engine.batch_items set batch_id = gen_random_uuid()")


async def test_an_answer_is_stored_billed_and_wakes_its_run_and_told_twice_it_is_one(
    chat: Chat,
) -> None:
    claim, batch = await sent(chat)
    await chat.worker.defer(claim, None)

    assert await land(chat, batch) == {"woken": 1, "left": 0}
    assert await land(chat, batch) == {"woken": 0, "left": 0}

    (found,) = await chat.worker.call("find_batched", claim["run_id"], DIGEST)
    assert (found["state"], found["answer"]["state"]) == ("done", "succeeded")
    assert await chat.admin.fetchval("select body from engine.batch_items") == ""
    (call,) = await chat.admin.fetch("select * from engine.model_calls")
    run = await chat.run(claim["run_id"])
    assert (call["run_id"], call["user_id"]) == (run["id"], run["requester_id"])
    assert str(call["id"]) == batch["asked"][0]
    (again,) = await chat.worker.claim()
    assert again["run_id"] == claim["run_id"]
    assert await chat.admin.fetchval("select state from engine.batches") == "ended"


async def test_the_operators_own_price_is_halved_too(chat: Chat) -> None:
    await chat.admin.execute(
        "insert into engine.model_prices (model, valid_from, input_usd, output_usd)"
        " values ('openai:*', now() - interval '1 day', 2, 2)"
    )
    call = model_call(price_factor=0.5, input_tokens=900_000, output_tokens=100_000)

    await chat.worker.call("record_calls", [call])

    assert await chat.admin.fetchval("select cost_usd from engine.model_calls") == Decimal(1)


async def test_an_answer_that_lands_while_its_run_is_given_back_is_not_slept_through(
    chat: Chat,
) -> None:
    claim, batch = await sent(chat)
    landing = await chat.line().open()
    async with landing.transaction():
        # Not yet committed: who gives the run back now sees nothing of it.
        await landing.execute("select engine.land_batch($1, '[]', true)", batch["id"])
        giving_back = await blocked(chat, chat.worker, chat.worker.defer(claim, None))

    assert await giving_back == {"state": "deferred"}
    assert await wait_s(chat, claim) <= 1


@pytest.mark.parametrize("state", ["done", "expired"])
async def test_a_run_whose_question_was_answered_since_its_claim_looks_again_at_once(
    chat: Chat, state: str
) -> None:
    await chat.configure(turn_wait_s=0)
    claim, batch = await sent(chat)
    await land(chat, batch, state=state)

    assert await chat.worker.defer(claim, None) == {"state": "deferred"}

    assert await wait_s(chat, claim) <= 0.01
    assert (await chat.run(claim["run_id"]))["waited_s"] == 0
    await chat.let_backoff_pass()
    claim = await chat.worker.claim_one()
    assert await chat.worker.defer(claim, None) == {"state": "overdue"}


async def test_a_wait_that_ends_while_its_run_is_given_back_is_no_failure(chat: Chat) -> None:
    await chat.configure(turn_wait_s=0, batch_wait_s=60)
    claim, _ = await sent(chat)
    await chat.admin.execute(
        "update engine.batch_items set created_at = clock_timestamp() - interval '60 s'"
    )

    assert await chat.worker.defer(claim, None) == {"state": "deferred"}


async def test_what_the_batch_did_not_answer_is_expired(chat: Chat) -> None:
    claim, batch = await sent(chat)
    await chat.worker.defer(claim, None)

    assert await chat.worker.call("land_batch", batch["id"], [], True) == {
        "woken": 1,
        "left": 0,
    }

    assert (await queue(chat, claim))["state"] == "expired"
    assert await chat.admin.fetchval("select count(*) from engine.model_calls") == 0


async def test_a_question_that_has_waited_too_long_is_asked_directly(chat: Chat) -> None:
    claim, _ = await sent(chat)
    await chat.configure(batch_wait_s=60)
    await chat.admin.execute(
        "update engine.batch_items set created_at = created_at - interval '61 s'"
    )

    (found,) = await chat.worker.call("find_batched", claim["run_id"], DIGEST)

    assert found["state"] == "expired"
    # Such a run waits as at a limit, if at all.
    await chat.worker.defer(claim, 5)
    assert 1 < await wait_s(chat, claim) <= 5


async def test_who_asked_pays_also_when_the_run_is_gone(chat: Chat) -> None:
    claim, batch = await sent(chat)
    requester = (await chat.run(claim["run_id"]))["requester_id"]
    await chat.admin.execute("delete from public.chat_sessions")
    assert await chat.admin.fetchval("select count(*) from engine.batch_items") == 0

    await land(chat, batch)

    (call,) = await chat.admin.fetch("select user_id from engine.model_calls")
    assert call["user_id"] == requester


@pytest.mark.parametrize("is_landed", [True, False])
async def test_housekeeping_forgets_questions_of_runs_that_have_ended_but_none_under_way(
    chat: Chat, *, is_landed: bool
) -> None:
    claim, batch = await sent(chat)
    if is_landed:
        await land(chat, batch)
        await chat.admin.execute(
            "update engine.batches set ended_at = ended_at - interval '8 days'"
        )
    await chat.worker.finish(claim)

    for _ in range(2):
        await chat.worker.call("purge", 1000)

    left = 0 if is_landed else 1
    assert await chat.admin.fetchval("select count(*) from engine.batch_items") == left
    assert await chat.admin.fetchval("select count(*) from engine.batches") == left


async def test_an_answer_to_nobodys_question_is_no_call(chat: Chat) -> None:
    _, batch = await sent(chat)
    stray = {"id": str(uuid4()), "state": "done", "answer": {}, "call": model_call()}

    await chat.worker.call("land_batch", batch["id"], [stray], False)

    assert await chat.admin.fetchval("select count(*) from engine.model_calls") == 0


async def test_an_answer_is_not_slept_through_while_an_older_question_hangs(chat: Chat) -> None:
    claim, _ = await sent(chat)
    await age(chat, 30 * _HOUR_S)
    await queue(chat, claim, digest="1" * 64)
    (old,), (new,) = await take(chat), await take(chat)
    assert old["created_s"] < new["created_s"]
    await chat.worker.defer(claim, None)
    assert await wait_s(chat, claim) > _HOUR_S

    assert (await land(chat, new))["woken"] == 1

    assert await wait_s(chat, claim) <= 0


async def test_the_words_are_not_kept_once_the_provider_has_them(chat: Chat) -> None:
    _, batch = await sent(chat)
    await chat.worker.call("note_batch", batch["id"], "one", None, 0.0)
    assert await items(chat) == [("sent", "{}")]
    (batch,) = await take(chat)

    await chat.worker.call("note_batch", batch["id"], "one", "batch_1", 0.0)

    assert await items(chat) == [("sent", "")]
    (again,) = await take(chat)
    assert (again["items"][0]["bytes"], again["items"][0]["body"]) == (2, None)


@pytest.mark.parametrize(
    ("batch_wait_s", "hours", "is_stale"),
    [(60, 47, False), (60, 49, True), (90_000, 49, False), (90_000, 51, True)],
)
async def test_a_batch_is_given_up_after_two_days_and_twice_the_wait_whoever_serves_it(
    chat: Chat, batch_wait_s: int, hours: int, *, is_stale: bool
) -> None:
    await chat.configure(batch_wait_s=batch_wait_s)
    await sent(chat)
    await age(chat, hours * _HOUR_S)
    (batch,) = await take(chat)
    assert batch["is_stale"] == is_stale
    await chat.worker.call("purge", 1000)
    # Somebody looks after it just now.
    assert await items(chat) == [("sent", "{}")]
    await age(chat, 0)

    await chat.worker.call("purge", 1000)

    assert await items(chat) == [("expired", "") if is_stale else ("sent", "{}")]
    state = await chat.admin.fetchval("select state from engine.batches")
    assert (state == "ended") == is_stale


@pytest.mark.parametrize("gives_up", ["take_batches", "purge"])
async def test_a_question_that_nobody_waits_for_any_more_is_not_sent(
    chat: Chat, gives_up: str
) -> None:
    claim = await chat.claimed()
    await queue(chat, claim)
    await age(chat, 26 * _HOUR_S)
    await queue(chat, claim, digest="1" * 64)

    if gives_up == "purge":
        await chat.worker.call("purge", 1000)
    else:
        (batch,) = await take(chat)
        assert len(batch["items"]) == 1

    (old, new) = await items(chat)
    assert old == ("expired", "")
    assert new == ("queued" if gives_up == "purge" else "sent", "{}")


async def test_whoever_deletes_several_sessions_at_once_is_not_stopped_by_their_answers(
    chat: Chat,
) -> None:
    claims = [await chat.claimed() for _ in range(2)]
    for claim in claims:
        await queue(chat, claim)
    (batch,) = await take(chat)
    deleting = await chat.line().open()
    transaction = deleting.transaction()
    await transaction.start()
    delete = "delete from public.chat_sessions where id = $1"
    await deleting.execute(delete, claims[0]["session_id"])

    # The other's is stored at once.
    assert await land(chat, batch) == {"woken": 0, "left": 1}
    assert sorted(await items(chat)) == [("done", ""), ("sent", "{}")]
    assert await chat.admin.fetchval("select state from engine.batches") == "submitting"
    assert await chat.admin.fetchval("select count(*) from engine.model_calls") == 1
    await deleting.execute(delete, claims[1]["session_id"])
    await transaction.commit()

    assert await land(chat, batch) == {"woken": 0, "left": 0}
    assert await chat.admin.fetchval("select state from engine.batches") == "ended"
    assert await chat.admin.fetchval("select count(*) from engine.model_calls") == 2


async def test_an_answer_whose_run_is_held_lands_when_it_is_told_again(chat: Chat) -> None:
    claim, batch = await sent(chat)
    holding = await chat.line().open()
    async with holding.transaction():
        await holding.execute("select from engine.runs where id = $1 for update", claim["run_id"])
        assert (await land(chat, batch, is_last=False))["left"] == 1
        assert (await land(chat, batch))["left"] == 1

    assert (await land(chat, batch))["left"] == 0

    assert await items(chat) == [("done", "")]


async def test_nobody_waits_for_a_question_that_is_being_deleted(chat: Chat) -> None:
    claim = await chat.claimed()
    await queue(chat, claim)
    await chat.worker.finish(claim)
    holding = await chat.line().open()
    async with holding.transaction():
        await holding.execute("select from engine.batch_items for update")
        assert await take(chat) == []
        await chat.worker.call("purge", 1000)

    assert await take(chat) == []
    assert await items(chat) == []
