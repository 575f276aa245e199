"""The outcome: a run that ends writes exactly one row, and what that row says."""

from uuid import uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.worker import call, delta, text


async def test_a_completed_run_has_its_text_usage_and_terminal_event(chat: Chat) -> None:
    claim = await chat.claimed()
    message = uuid4()

    answer = await chat.worker.finish(
        claim, "A door.", message_id=message, usage={"input_tokens": 7}
    )

    run, outcome = await chat.run(claim["run_id"]), await chat.outcome(claim["run_id"])
    assert answer == {"state": "stored", "status": "completed"}
    assert (run["status"], run["usage"]) == ("completed", {"input_tokens": 7})
    assert (run["worker"], run["lease_until"]) == (None, None)
    assert run["ended_at"] >= run["started_at"]
    assert (outcome["id"], outcome["role"], outcome["content"]) == (
        message,
        "assistant",
        text("A door."),
    )
    assert (outcome["status"], outcome["reason"], outcome["error"]) == ("completed", None, None)


@pytest.mark.parametrize("status", ["incomplete", "failed", "cancelled", "expired"])
async def test_any_other_end_is_incomplete_with_a_reason_and_the_text_there_was(
    chat: Chat, status: str
) -> None:
    claim = await chat.claimed()

    await chat.worker.finish(claim, "A do", status=status, error="overloaded")

    outcome = await chat.outcome(claim["run_id"])
    assert await chat.statuses(claim["session_id"]) == [status]
    assert (outcome["status"], outcome["reason"]) == ("incomplete", status)
    assert (outcome["error"], outcome["content"]) == ("overloaded", text("A do"))
    assert await chat.events(claim["run_id"]) == [(1, f"run.{status}")]


async def test_a_reason_of_the_workers_own_is_kept(chat: Chat) -> None:
    claim = await chat.claimed()

    await chat.worker.finish(claim, "A do", status="incomplete", reason="max_output_tokens")

    assert (await chat.outcome(claim["run_id"]))["reason"] == "max_output_tokens"


async def test_an_outcome_without_text_is_a_row_too(chat: Chat) -> None:
    claim = await chat.claimed()

    await chat.worker.finish(claim, "", status="failed", error="overloaded")

    assert (await chat.outcome(claim["run_id"]))["content"] == []


async def test_an_error_is_a_code_and_never_prose(chat: Chat) -> None:
    claim = await chat.claimed()

    with pytest.raises(asyncpg.CheckViolationError):
        await chat.worker.finish(claim, "", status="failed", error="Key sk-123 is wrong!")

    assert (await chat.run(claim["run_id"]))["status"] == "running"


@pytest.mark.parametrize("status", ["ready", "superseded", "", None])
async def test_a_run_ends_in_a_known_state_only(chat: Chat, status: str | None) -> None:
    claim = await chat.claimed()

    with pytest.raises(asyncpg.PostgresError):
        await chat.worker.finish(claim, status=status)

    assert (await chat.run(claim["run_id"]))["status"] == "running"


async def test_a_second_outcome_is_refused_whoever_writes_it(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)

    with pytest.raises(asyncpg.UniqueViolationError, match="messages_run_id_idx"):
        await chat.admin.execute(
            "insert into messages (session_id, role, content, run_id, starts_run)"
            " select session_id, role, content, run_id, false from messages"
            " where run_id is not null"
        )


async def test_the_next_run_has_its_turn_in_the_same_transaction(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.ada.say(claim["session_id"], "M2")

    async with chat.worker.transaction():
        await chat.worker.finish(claim)
        assert await chat.statuses(claim["session_id"]) == ["running", "waiting"]

    assert await chat.statuses(claim["session_id"]) == ["completed", "ready"]


async def test_texts_said_on_the_way_are_rows_of_their_own(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.say(claim, "Rolling.", 0)
    await chat.worker.say(claim, "Again.", 1)
    await chat.worker.finish(claim, "A seven.")

    rows = (await chat.messages(claim["session_id"]))[1:]
    assert [(row["ordinal"], row["content"][0]["text"]) for row in rows] == [
        (0, "Rolling."),
        (1, "Again."),
        (None, "A seven."),
    ]
    assert {str(row["run_id"]) for row in rows} == {claim["run_id"]}


async def test_two_texts_of_a_run_never_share_an_ordinal(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.say(claim, "Rolling.", 0)

    with pytest.raises(asyncpg.UniqueViolationError, match="messages_run_id_ordinal_idx"):
        await chat.worker.say(claim, "Rolling.", 0)


async def test_a_checkpoint_that_is_sent_twice_is_stored_once(chat: Chat) -> None:
    claim = await chat.claimed()
    said = {"message_id": str(uuid4()), "ordinal": 0, "content": text("Rolling.")}
    sent = [call(0, "a", output=7)], [delta(1, uuid4(), "Rolling.")]
    for _ in range(2):
        stored = await chat.worker.checkpoint(claim, sent[0], said=said, events=sent[1])
        assert stored == {"state": "stored"}

    assert len(await chat.messages(claim["session_id"])) == 2
    assert await chat.events(claim["run_id"]) == [(1, "message.delta")]
    assert await chat.admin.fetchval("select count(*) from engine.run_steps") == 1


async def test_the_outcome_shows_the_tools_that_the_steps_recorded(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [call(0, "a", output=7)])
    await chat.worker.checkpoint(claim, [call(1, "b", output={"sum": 9})])

    await chat.worker.finish(claim, "Nine.")

    assert (await chat.outcome(claim["run_id"]))["content"] == [
        {"type": "tool_call", "call_id": "a", "name": "roll_dice", "arguments": {"sides": 20}},
        {"type": "tool_result", "call_id": "a", "output": 7},
        {"type": "tool_call", "call_id": "b", "name": "roll_dice", "arguments": {"sides": 20}},
        {"type": "tool_result", "call_id": "b", "output": {"sum": 9}},
        *text("Nine."),
    ]


async def test_more_tool_calls_than_a_row_holds_do_not_stop_the_end(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [call(n, f"c{n}", output=n) for n in range(200)])

    assert (await chat.worker.finish(claim, "Done."))["status"] == "completed"
    assert text("Done.")[0] in (await chat.outcome(claim["run_id"]))["content"]


async def test_a_text_too_large_for_a_row_is_cut_and_the_run_is_incomplete(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.ada.say(claim["session_id"], "M2")

    await chat.worker.finish(claim, "ü" * 1_000_000)

    outcome = await chat.outcome(claim["run_id"])
    assert (outcome["status"], outcome["reason"]) == ("incomplete", "content_too_large")
    assert outcome["content"] == text("ü" * 150_000)
    assert await chat.statuses(claim["session_id"]) == ["incomplete", "ready"]


async def test_the_worst_text_that_is_cut_still_fits(chat: Chat) -> None:
    claim = await chat.claimed()

    await chat.worker.finish(claim, "\x01" * 1_000_000)

    assert (await chat.outcome(claim["run_id"]))["reason"] == "content_too_large"


async def test_a_reply_of_one_megabyte_is_whole(chat: Chat) -> None:
    claim = await chat.claimed()

    await chat.worker.finish(claim, "x" * 1_000_000)

    assert (await chat.outcome(claim["run_id"]))["status"] == "completed"
