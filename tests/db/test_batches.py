"""Questions that wait for a batch: those alike go together, each is sent once, its run waits."""

import asyncpg
import pytest

from tests.db.batching import HOUR_S, age, items, queue, sent, take, wait_s
from tests.support.chat import Chat


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


async def test_the_words_are_not_kept_once_the_provider_has_them(chat: Chat) -> None:
    _, batch = await sent(chat)
    await chat.worker.call("note_batch", batch["id"], "one", None, 0.0)
    assert await items(chat) == [("sent", "{}")]
    (batch,) = await take(chat)

    await chat.worker.call("note_batch", batch["id"], "one", "batch_1", 0.0)

    assert await items(chat) == [("sent", "")]
    (again,) = await take(chat)
    assert (again["items"][0]["bytes"], again["items"][0]["body"]) == (2, None)


@pytest.mark.parametrize("gives_up", ["take_batches", "purge"])
async def test_a_question_that_nobody_waits_for_any_more_is_not_sent(
    chat: Chat, gives_up: str
) -> None:
    claim = await chat.claimed()
    await queue(chat, claim)
    await age(chat, 26 * HOUR_S)
    await queue(chat, claim, digest="1" * 64)

    if gives_up == "purge":
        await chat.worker.call("purge", 1000)
    else:
        (batch,) = await take(chat)
        assert len(batch["items"]) == 1

    (old, new) = await items(chat)
    assert old == ("expired", "")
    assert new == ("queued" if gives_up == "purge" else "sent", "{}")


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
