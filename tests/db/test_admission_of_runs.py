"""How many runs may be open at a time, and what else starts one."""

from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.refusals import refused


async def test_the_run_after_the_last_place_is_refused_until_one_has_ended(chat: Chat) -> None:
    await chat.configure(user_open_runs=2)
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "a", "b")

    refusal = await refused(chat.ada.say(session))

    assert (refusal.limit, refusal.wait_s) == ("user_open_runs", 5)
    assert refusal.said == (
        "Too many open runs: the limit is 2 at a time per user. Try again in 5 s."
    )
    assert await chat.statuses(session) == ["ready", "waiting"]
    await chat.worker.finish(await chat.worker.claim_one())
    await chat.ada.say(session)


@pytest.mark.parametrize("state", ["waiting", "ready", "running", "requires_action"])
async def test_a_run_in_any_open_state_holds_a_place_and_its_cancellation_frees_it(
    chat: Chat, state: str
) -> None:
    await chat.configure(user_open_runs=2 if state == "waiting" else 1)
    session = await chat.ada.start_session()
    await chat.ada.say(session)
    if state in ("running", "requires_action"):
        claim = await chat.worker.claim_one()
        if state == "requires_action":
            await chat.worker.park(claim, "a")
    elif state == "waiting":
        await chat.ada.say(session)
    other = await chat.ada.start_session()
    assert (await chat.runs(session))[-1]["status"] == state
    assert (await refused(chat.ada.say(other))).limit == "user_open_runs"

    await chat.ada.cancel((await chat.runs(session))[-1]["id"])

    await chat.ada.say(other)


async def test_a_statement_that_would_open_more_than_ever_may_be_is_not_told_to_come_back(
    chat: Chat,
) -> None:
    await chat.configure(user_open_runs=2)
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.CheckViolationError, match="limit is 2 at a time per user"):
        await chat.ada.say_all(session, "a", "b", "c")


async def test_a_session_that_supersedes_goes_on_with_the_one_place_that_it_has(
    chat: Chat,
) -> None:
    await chat.configure(user_open_runs=1)
    session = await chat.ada.start_session(while_running="supersede")
    await chat.ada.say(session)
    await chat.worker.claim_one()

    await chat.ada.say(session)
    await chat.ada.say_all(session, "a", "b", "c")

    other = await chat.ada.start_session(while_running="supersede")
    assert (await refused(chat.ada.say(other))).limit == "user_open_runs"


async def test_answering_again_needs_an_open_run_and_a_messages_place(chat: Chat) -> None:
    claim = await chat.claimed()
    message = UUID(claim["message_id"])
    await chat.worker.finish(claim)
    await chat.configure(user_open_runs=1, user_messages_per_day=2)
    await chat.let_time_pass(86400)
    other = await chat.ada.say(await chat.ada.start_session())
    assert (await refused(chat.ada.regenerate(message))).limit == "user_open_runs"
    await chat.ada.delete("messages", other)

    await chat.ada.regenerate(message)
    await chat.worker.finish(await chat.worker.claim_one())

    assert (await refused(chat.ada.regenerate(message))).limit == "user_messages_per_day"
    assert await chat.statuses(claim["session_id"]) == ["completed", "completed"]


async def test_runs_that_the_service_made_for_a_user_hold_places_too(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.admin.execute("update engine.runs set origin = 'api'")
    await chat.configure(user_open_runs=1)

    assert (await refused(chat.ada.say(UUID(claim["session_id"])))).limit == "user_open_runs"


async def test_what_goes_on_with_an_open_run_is_always_admitted(chat: Chat) -> None:
    await chat.configure(user_open_runs=1, user_messages_per_day=1)
    claim = await chat.claimed()
    await chat.worker.park(claim, "a")

    await chat.ada.submit(UUID(claim["run_id"]), [{"call_id": "a", "output": 7}])
    await chat.ada.cancel(UUID(claim["run_id"]))

    assert await chat.statuses(claim["session_id"]) == ["cancelled"]
