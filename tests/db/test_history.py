"""What the model is given: the path to the answered message, and what was said since."""

from uuid import UUID

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import SERVICE
from tests.support.worker import call, text


async def test_it_begins_with_the_oldest_and_ends_with_the_answered_message(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "M1")
    await chat.worker.finish(await chat.worker.claim_one(), "R1")
    await chat.ada.say_all(session, "M2", "M3")

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [(m["role"], m["content"][0]["text"]) for m in history["messages"]] == [
        ("user", "M1"),
        ("assistant", "R1"),
        ("user", "M2"),
    ]


async def test_it_names_the_assistant_with_its_instructions(chat: Chat) -> None:
    claim = await chat.claimed()

    history = await chat.worker.history(claim)

    assert history["assistant"] == {
        "id": str(DEMO_ASSISTANT),
        "name": "Demo assistant",
        "instructions": "You are a helpful assistant.",
        "model": "offline:demo",
        "tools": [],
        "metadata": {},
        "options": {},
        "user_id": None,
    }


async def test_replies_without_text_stay_out(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.checkpoint(claim, [call(0, "a", output=1)])
    await chat.worker.finish(claim, "", status="failed", error="overloaded")
    await chat.ada.say(claim["session_id"], "M2")

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M1", "M2"]


async def test_half_a_reply_is_part_of_it(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.finish(claim, "Half a", status="cancelled")
    await chat.ada.say(claim["session_id"], "M2")

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M1", "Half a", "M2"]


async def test_texts_that_the_run_has_said_already_come_last(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.worker.say(claim, "Rolling.", 0)
    await chat.worker.say(claim, "Again.", 1)
    await chat.worker.release(claim)

    history = await chat.worker.history(await chat.worker.claim_one())

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M1", "Rolling.", "Again."]


async def test_finished_steps_come_in_their_order_so_that_none_is_repeated(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [call(1, "b", output=2), call(0, "a", output=1)])
    await chat.worker.release(claim)

    steps = (await chat.worker.history(await chat.worker.claim_one()))["steps"]

    assert [(s["position"], s["status"], s["data"]["output"]) for s in steps] == [
        (0, "completed", 1),
        (1, "completed", 2),
    ]


async def test_a_step_that_is_stored_stays_as_it_is(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.checkpoint(claim, [call(0, "a", output="first")])

    await chat.worker.checkpoint(claim, [call(0, "a", output="second")])

    assert (await chat.worker.history(claim))["steps"][0]["data"]["output"] == "first"


async def test_it_holds_the_newest_messages_up_to_the_limit(chat: Chat) -> None:
    session = await chat.ada.start_session()
    for number in range(1, 4):
        await chat.ada.say(session, f"M{number}")
        claim = await chat.worker.claim_one()
        if number < 3:
            await chat.worker.finish(claim, f"R{number}")

    history = await chat.worker.history(claim, limit=3)

    assert [m["content"][0]["text"] for m in history["messages"]] == ["M2", "R2", "M3"]


async def test_a_parked_runs_history_waits_for_its_next_claim(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.park(claim, "a")

    assert await chat.worker.history(claim) is None


async def test_for_a_deleted_message_the_history_is_what_is_left(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.admin.execute("delete from messages")

    history = await chat.worker.history(claim)

    assert history["messages"] == []


async def test_without_its_assistant_the_history_says_so(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.admin.execute("update engine.runs set assistant_id = null")

    assert (await chat.worker.history(claim))["assistant"] is None


async def test_a_claim_carries_its_history_where_it_is_asked_for(chat: Chat) -> None:
    await chat.ada.say(await chat.ada.start_session(), "M1")

    (claim,) = await chat.worker.claim(message_limit=50)

    assert claim["history"] == await chat.worker.history(claim)
    assert [m["content"][0]["text"] for m in claim["history"]["messages"]] == ["M1"]


async def test_a_claim_that_is_not_asked_for_it_carries_none(chat: Chat) -> None:
    assert "history" not in await chat.claimed("M1")


async def test_a_path_ends_where_4_mb_are_reached(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await _import_megabytes(chat, session, 6)
    await chat.ada.say(session, "M1")

    history = await chat.worker.history(await chat.worker.claim_one())

    assert len(history["messages"]) == 6
    assert history["messages"][-1]["content"][0]["text"] == "M1"


async def test_one_claim_carries_about_4_mb_of_histories_and_no_more(chat: Chat) -> None:
    for _ in range(6):
        session = await chat.ada.start_session()
        await _import_megabytes(chat, session, 1)
        await chat.ada.say(session, "M1")

    claims = await chat.worker.claim(message_limit=50)

    assert [claim["history"] is not None for claim in claims] == [True] * 5 + [False]
    assert (await chat.worker.history(claims[-1]))["messages"] != []


async def _import_megabytes(chat: Chat, session: UUID, number: int) -> None:
    for _ in range(number):
        await chat.browser(SERVICE).say(
            session, text("x" * 1_000_000), role="assistant", starts_run=False
        )
