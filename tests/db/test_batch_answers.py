"""Answers out of batches: each is paid once and wakes its run once; no question waits for ever."""

from decimal import Decimal
from uuid import uuid4

import pytest

from tests.db.batching import DIGEST, HOUR_S, age, items, land, queue, sent, take, wait_s
from tests.support.chat import Chat
from tests.support.races import blocked
from tests.support.usage import model_call


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
    await age(chat, 30 * HOUR_S)
    await queue(chat, claim, digest="1" * 64)
    (old,), (new,) = await take(chat), await take(chat)
    assert old["created_s"] < new["created_s"]
    await chat.worker.defer(claim, None)
    assert await wait_s(chat, claim) > HOUR_S

    assert (await land(chat, new))["woken"] == 1

    assert await wait_s(chat, claim) <= 0


@pytest.mark.parametrize(
    ("batch_wait_s", "hours", "is_stale"),
    [(60, 47, False), (60, 49, True), (90_000, 49, False), (90_000, 51, True)],
)
async def test_a_batch_is_given_up_after_two_days_and_twice_the_wait_whoever_serves_it(
    chat: Chat, batch_wait_s: int, hours: int, *, is_stale: bool
) -> None:
    await chat.configure(batch_wait_s=batch_wait_s)
    await sent(chat)
    await age(chat, hours * HOUR_S)
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
