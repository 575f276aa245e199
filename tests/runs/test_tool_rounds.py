"""Tool calls: the client's functions are waited for, and what nobody has is said to the model."""

import json
from typing import Any
from uuid import UUID

from tests.runs.conftest import Working, until_idle, until_state
from tests.support.chat import Chat
from tests.support.oracles import assert_sound, text_of

DICE = {
    "type": "function",
    "function": {
        "name": "roll_dice",
        "parameters": {
            "type": "object",
            "properties": {"sides": {"type": "integer", "minimum": 6}},
        },
    },
}
MAP = {"type": "function", "function": {"name": "draw_map"}}


def script(**keys: Any) -> str:
    return f"offline: {json.dumps(keys)}"


async def asked(chat: Chat, text: str, *tools: Any) -> Any:
    """Return the run of a message to an assistant that has these tools."""
    await chat.admin.execute("update public.assistants set tools = $1", list(tools or (DICE, MAP)))
    message = await chat.ada.say(await chat.ada.start_session(), text)
    return await chat.run_of(message)


async def submit(chat: Chat, run: UUID, **outputs: Any) -> None:
    """Every call that waits has an output, by the name of its tool."""
    row = await chat.run(run)
    calls = row["required_action"]["tool_calls"]
    given = [{"call_id": it["call_id"], "output": outputs[it["name"]]} for it in calls]
    await chat.ada.submit(run, given)


async def test_a_run_waits_for_the_clients_function_and_goes_on_with_its_output(
    chat: Chat, working: Working
) -> None:
    run = await asked(chat, "Please roll_dice")
    async with working():
        await until_state(chat, "requires_action")
        row = await chat.run(run["id"])
        (call,) = row["required_action"]["tool_calls"]
        assert (call["name"], call["arguments"]) == ("roll_dice", {"sides": 6})
        assert row["lease_until"] is None
        await submit(chat, run["id"], roll_dice=17)
        await until_idle(chat)
    outcome = await chat.outcome(run["id"])
    assert "roll_dice returned 17" in text_of(outcome)
    kinds = [part["type"] for part in outcome["content"]]
    assert kinds == ["tool_call", "tool_result", "text"]
    await assert_sound(chat.admin)


async def test_parallel_calls_are_waited_for_together(chat: Chat, working: Working) -> None:
    run = await asked(chat, "Please roll_dice and draw_map")
    async with working():
        await until_state(chat, "requires_action")
        await submit(chat, run["id"], roll_dice=3, draw_map={"url": "x"})
        await until_idle(chat)
    text = text_of(await chat.outcome(run["id"]))
    assert "roll_dice returned 3" in text
    assert "draw_map returned" in text
    await assert_sound(chat.admin)


async def test_several_rounds_follow_each_other_and_their_texts_are_rows(
    chat: Chat, working: Working
) -> None:
    rounds = [[{"name": "roll_dice"}], [{"name": "draw_map"}]]
    run = await asked(chat, script(tool_calls=rounds, text="Let me see."))
    async with working():
        for name in ("roll_dice", "draw_map"):
            await until_state(chat, "requires_action")
            await submit(chat, run["id"], **{name: "ok"})
            await until_state(chat, "requires_action" if name == "roll_dice" else "completed")
        await until_idle(chat)
    rows = await chat.admin.fetch(
        "select * from public.messages where run_id = $1 order by position", run["id"]
    )
    assert [row["ordinal"] for row in rows] == [0, 1, None]
    assert [text_of(row) for row in rows] == ["Let me see."] * 3
    await assert_sound(chat.admin)


async def test_the_tokens_of_all_rounds_are_counted(chat: Chat, working: Working) -> None:
    run = await asked(chat, "Please roll_dice")
    async with working():
        await until_state(chat, "requires_action")
        steps = await chat.admin.fetch("select data from engine.run_steps")
        first = steps[0]["data"]["usage"]["input_tokens"]
        await submit(chat, run["id"], roll_dice=17)
        await until_idle(chat)
    usage = (await chat.run(run["id"]))["usage"]
    assert first > 0
    assert usage["input_tokens"] > first
    assert usage["output_tokens"] > steps[0]["data"]["usage"]["output_tokens"]


async def test_what_a_round_cost_is_nobody_elses_business(chat: Chat, working: Working) -> None:
    run = await asked(chat, "Please roll_dice")
    async with working():
        await until_state(chat, "requires_action")
        (call,) = (await chat.run(run["id"]))["required_action"]["tool_calls"]
    assert set(call) == {"call_id", "name", "arguments"}


async def test_a_tool_that_nobody_has_is_an_error_that_the_model_hears(
    chat: Chat, working: Working
) -> None:
    run = await asked(chat, script(tool_calls=[{"name": "fly"}]))
    async with working():
        await until_idle(chat)
    outcome = await chat.outcome(run["id"])
    assert outcome["status"] == "completed"
    assert "fly returned" in text_of(outcome)
    assert "unknown_tool" in text_of(outcome)
    await assert_sound(chat.admin)


async def test_known_and_unknown_tools_in_one_round_are_both_answered(
    chat: Chat, working: Working
) -> None:
    run = await asked(chat, script(tool_calls=[{"name": "fly"}, {"name": "roll_dice"}]))
    async with working():
        await until_state(chat, "requires_action")
        await submit(chat, run["id"], roll_dice=2)
        await until_idle(chat)
    text = text_of(await chat.outcome(run["id"]))
    assert "unknown_tool" in text
    assert "roll_dice returned 2" in text
    await assert_sound(chat.admin)


async def test_a_model_that_never_stops_calling_ends_as_incomplete(
    chat: Chat, working: Working
) -> None:
    run = await asked(chat, script(tool_calls=[[{"name": "fly"}]] * 9))
    async with working(worker_max_rounds=3):
        await until_idle(chat)
    outcome = await chat.outcome(run["id"])
    assert (outcome["status"], outcome["reason"]) == ("incomplete", "max_rounds")
    assert await chat.admin.fetchval("select count(*) from engine.run_steps") == 3
    await assert_sound(chat.admin)


async def test_rounds_are_counted_over_parking(chat: Chat, working: Working) -> None:
    run = await asked(chat, script(tool_calls=[[{"name": "roll_dice"}]] * 9))
    async with working(worker_max_rounds=2):
        for number in range(2):
            await until_state(chat, "requires_action")
            await submit(chat, run["id"], roll_dice=number)
            if number == 0:
                await until_state(chat, "requires_action")
        await until_idle(chat)
    assert (await chat.outcome(run["id"]))["reason"] == "max_rounds"
    await assert_sound(chat.admin)


async def test_the_same_call_id_in_every_round_is_made_unique(chat: Chat, working: Working) -> None:
    run = await asked(chat, script(tool_calls=[[{"name": "fly", "call_id": "same"}] * 2] * 2))
    async with working():
        await until_idle(chat)
    content = (await chat.outcome(run["id"]))["content"]
    ids = [part["call_id"] for part in content if part["type"] == "tool_call"]
    assert len(ids) == len(set(ids)) == 4
    await assert_sound(chat.admin)


async def test_a_parked_run_that_is_cancelled_ends(chat: Chat, working: Working) -> None:
    run = await asked(chat, "Please roll_dice")
    async with working():
        await until_state(chat, "requires_action")
        await chat.ada.cancel(run["id"])
        await until_idle(chat)
    assert (await chat.outcome(run["id"]))["reason"] == "cancelled"
    await assert_sound(chat.admin)


async def test_a_retry_after_a_checkpoint_repeats_no_tool_call(
    chat: Chat, working: Working
) -> None:
    text = script(tool_calls=[{"name": "fly"}], fault={"kind": "retryable", "after": 1})
    run = await asked(chat, text)
    async with working():
        await until_idle(chat)
    assert (await chat.run(run["id"]))["fence"] == 2
    assert await chat.admin.fetchval("select count(*) from engine.run_steps") == 1
    await assert_sound(chat.admin)
