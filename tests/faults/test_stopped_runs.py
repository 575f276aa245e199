"""Runs that are cancelled, superseded or too old while the model speaks."""

from typing import Any
from uuid import UUID

import pytest

from backend.domain.usage import Usage
from tests.faults.scene import SLOW, Scene, script
from tests.support.oracles import text_of
from tests.support.processes import until

ENDLESS = script(deltas=10_000, delay_ms=20)


async def test_a_cancellation_reaches_the_model_call_and_keeps_the_text(scene: Scene) -> None:
    session = await scene.ask(ENDLESS, "and then?")
    await scene.workshop.ready(WORKER_LEASE_S="60")
    await scene.until_streaming()
    (run, _) = await scene.chat.runs(session)
    await scene.chat.ada.cancel(run["id"])
    # The next heartbeat is 17 s away: the wake-up alone can be this quick.
    await scene.until_count("status = 'cancelled'", within_s=12)
    await scene.until_idle()
    row = await scene.chat.outcome(run["id"])
    assert (row["status"], row["reason"]) == ("incomplete", "cancelled")
    text = text_of(row)
    # Neither less nor more than what the reader of the stream has seen, however early it came.
    assert text.startswith("word1 ")
    assert text == await scene.streamed(run["id"])
    await scene.assert_sound()


@pytest.mark.parametrize("why", ["cancelled", "expired", "superseded"])
async def test_a_run_that_was_cut_shows_what_the_ledger_has_of_it(scene: Scene, why: str) -> None:
    await scene.chat.configure(run_ttl_s=2 if why == "expired" else 600)
    session = await scene.ask(ENDLESS, while_running="supersede")
    await scene.workshop.ready()
    await scene.until_streaming()
    (run,) = await scene.chat.runs(session)
    if why == "cancelled":
        await scene.chat.ada.cancel(run["id"])
    elif why == "superseded":
        await scene.chat.ada.say(session, "never mind")
    await scene.until_idle()

    call = await until_recorded(scene, run["id"])
    (shown,) = await scene.chat.ada.fetch("select * from public.runs where id = $1", run["id"])
    assert (call["outcome"], call["is_estimated"]) == ("cancelled", True)
    assert shown["usage"] == {name: call[name] for name in Usage().as_json()}
    assert min(call["input_tokens"], call["output_tokens"]) > 0


async def until_recorded(scene: Scene, run: UUID) -> Any:
    """Return the only call of the run, which may be stored after the run has ended."""
    sql = "select * from engine.model_calls where run_id = $1"

    async def is_there() -> bool:
        return bool(await scene.admin.fetch(sql, run))

    await until(is_there)
    (call,) = await scene.admin.fetch(sql, run)
    return call


async def test_a_cancellation_without_a_wake_up_comes_with_the_heartbeat(scene: Scene) -> None:
    session = await scene.ask(ENDLESS)
    scene.workshop.start(WORKER_LISTEN="off")
    await scene.until_streaming()
    (run,) = await scene.chat.runs(session)
    await scene.chat.ada.cancel(run["id"])
    await scene.until_idle(within_s=20)
    assert await scene.outcomes() == [("incomplete", "cancelled", None)]
    await scene.assert_sound()


async def test_a_new_message_supersedes_the_run_under_way(scene: Scene) -> None:
    session = await scene.ask(ENDLESS, while_running="supersede")
    await scene.workshop.ready()
    await scene.until_streaming()
    await scene.chat.ada.say(session, "never mind")
    await scene.until_idle()
    assert await scene.outcomes() == [
        ("incomplete", "superseded", None),
        ("completed", None, None),
    ]
    await scene.assert_sound()


async def test_a_run_that_takes_too_long_expires_with_the_text_it_had(scene: Scene) -> None:
    await scene.chat.configure(run_ttl_s=2)
    session = await scene.ask(ENDLESS, "and then?")
    await scene.workshop.ready()
    await scene.until_idle()
    expired, answered = await scene.outcomes()
    assert expired == ("incomplete", "expired", "expired")
    assert answered == ("completed", None, None)
    (run, _) = await scene.chat.runs(session)
    assert text_of(await scene.chat.outcome(run["id"])).startswith("word1 ")
    await scene.assert_sound()


async def test_a_forged_wake_up_cancels_nothing(scene: Scene) -> None:
    session = await scene.ask(SLOW)
    await scene.workshop.ready()
    await scene.until_streaming()
    (run,) = await scene.chat.runs(session)
    await scene.admin.execute(f"notify assistants_wake, 'cancel:{run['id']}'")
    await scene.until_idle()
    assert await scene.outcomes() == [("completed", None, None)]
    await scene.assert_sound()


async def test_a_run_under_way_in_another_session_is_not_disturbed(scene: Scene) -> None:
    cancelled = await scene.ask(ENDLESS)
    await scene.ask(SLOW)
    await scene.workshop.ready()
    await scene.until_streaming(2)
    (run,) = await scene.chat.runs(cancelled)
    await scene.chat.ada.cancel(run["id"])
    await scene.until_idle()
    assert sorted(it[0] for it in await scene.outcomes()) == ["completed", "incomplete"]
    await scene.assert_sound()
