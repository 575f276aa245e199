"""Events: contiguous numbers under the fence, discarded texts, and what outlives them."""

from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import Claim, delta


async def test_a_flush_stores_the_events_of_several_runs_and_names_the_lost_ones(
    chat: Chat,
) -> None:
    held, lost = await chat.claimed(), await chat.claimed()
    await chat.worker.release(lost)
    batch = [
        {"run_id": c["run_id"], "fence": c["fence"], "events": [delta(1, uuid4(), "x")]}
        for c in (held, lost)
    ]

    answer = await chat.worker.call("flush_events", chat.worker.name, batch)

    assert answer == {"lost": [lost["run_id"]], "busy": []}
    assert await chat.events(held["run_id"]) == [(1, "message.delta")]
    assert await chat.events(lost["run_id"]) == []


async def test_of_two_attempts_in_one_flush_only_the_newest_speaks(chat: Chat) -> None:
    old = await chat.claimed()
    await chat.worker.release(old)
    new = await chat.worker.claim_one()
    batch = [
        {"run_id": c["run_id"], "fence": c["fence"], "events": [delta(1, uuid4(), words)]}
        for c, words in ((new, "new"), (old, "old"))
    ]

    for given in (batch, batch[::-1]):
        answer = await chat.worker.call("flush_events", chat.worker.name, given)

        assert answer == {"lost": [], "busy": []}
        (event,) = (await chat.worker.read_stream(new))["events"]
        assert event["text"] == "new"


async def test_a_flush_that_is_sent_twice_is_harmless(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()

    for words in ("first", "second"):
        assert await chat.worker.flush(claim, delta(1, message, words)) == {"lost": [], "busy": []}

    (event,) = (await chat.worker.read_stream(claim))["events"]
    assert event["text"] == "first"


async def test_the_terminal_event_follows_the_last_one_and_says_how_it_ended(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()
    await chat.worker.flush(claim, delta(1, message, "A "))

    await chat.worker.finish(
        claim, "A door", message_id=message, events=[delta(2, message, "door")]
    )

    read = await chat.worker.read_stream(claim)
    assert [event["seq"] for event in read["events"]] == [1, 2, 3]
    last = read["events"][-1]
    assert last["type"] == "run.completed"
    assert (last["message_id"], last["status"], last["error"]) == (str(message), "completed", None)


async def test_nothing_follows_the_terminal_event(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)

    answer = await chat.worker.flush(claim, delta(2, uuid4(), "late"))

    assert answer["lost"] == [claim["run_id"]]
    assert await chat.events(claim["run_id"]) == [(1, "run.completed")]


async def test_the_next_attempt_is_told_what_to_discard_and_where_to_go_on(chat: Chat) -> None:
    claim = await chat.claimed()
    seen = uuid4()
    await chat.worker.flush(claim, delta(1, seen, "You"), delta(2, seen, " see"))
    await chat.worker.release(claim, [delta(3, seen, " a")])

    again = await chat.worker.claim_one()

    assert (again["next_seq"], again["discarded_message_id"]) == (4, str(seen))


async def test_a_text_is_discarded_once(chat: Chat) -> None:
    claim = await chat.claimed()
    seen = uuid4()
    await chat.worker.release(claim, [delta(1, seen, "You")])
    claim = await chat.worker.claim_one()
    discarded = {"seq": 2, "type": "message.discarded", "data": {"message_id": str(seen)}}
    await chat.worker.release(claim, [discarded])

    assert (await chat.worker.claim_one())["discarded_message_id"] is None


async def test_a_text_that_is_stored_is_not_discarded(chat: Chat) -> None:
    claim = await chat.claimed()
    said = await chat.worker.say(claim, "Rolling.")
    await chat.worker.release(claim, [delta(1, said, "Rolling.")])

    again = await chat.worker.claim_one()

    assert (again["discarded_message_id"], again["next_ordinal"]) == (None, 1)


async def test_events_are_purged_when_their_time_is_over(chat: Chat) -> None:
    claim = await _ended(chat)
    fresh = await _ended(chat)
    await _let_an_hour_pass(chat, claim)

    assert (await chat.worker.call("purge", 100))["events"] == 2

    assert await chat.events(claim["run_id"]) == []
    assert len(await chat.events(fresh["run_id"])) == 2


async def test_events_of_a_run_that_goes_on_are_never_purged(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.flush(claim, delta(1, uuid4(), "x"))
    await chat.admin.execute("update engine.events set created_at = now() - interval '1 day'")

    assert (await chat.worker.call("purge", 100))["events"] == 0


async def test_the_purge_takes_no_more_runs_than_asked_for(chat: Chat) -> None:
    claims = [await _ended(chat) for _ in range(3)]
    await _let_an_hour_pass(chat, *claims)

    assert [(await chat.worker.call("purge", 2))["events"] for _ in range(3)] == [4, 2, 0]


@pytest.mark.parametrize("event", ["deleted", "run.Completed", "a.b.c", ""])
async def test_an_event_is_named_object_dot_past_tense(chat: Chat, event: str) -> None:
    claim = await chat.claimed()

    with pytest.raises(asyncpg.CheckViolationError):
        await chat.worker.flush(claim, {"seq": 1, "type": event, "data": {}})


async def _ended(chat: Chat) -> Claim:
    claim = await chat.claimed()
    await chat.worker.finish(claim, events=[delta(1, uuid4(), "x")])
    return claim


async def _let_an_hour_pass(chat: Chat, *claims: Claim) -> None:
    await chat.admin.execute(
        "update engine.runs set ended_at = ended_at - interval '61 min'"
        " where id = any($1::text[]::uuid[])",
        [claim["run_id"] for claim in claims],
    )
