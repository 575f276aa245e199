"""How runs end, each for its reason."""

import json
from typing import Any

import pytest

from tests.runs.conftest import Working, until_idle
from tests.support.chat import Chat
from tests.support.oracles import assert_sound, text_of

UNCHECKED = """
alter table public.messages disable trigger user;
do $$ declare v_name text; begin
    for v_name in
        select conname from pg_constraint
        where conrelid = 'public.messages'::regclass and contype = 'c'
    loop
        execute format('alter table public.messages drop constraint %I', v_name);
    end loop;
end $$
"""


def script(**keys: Any) -> str:
    return f"offline: {json.dumps(keys)}"


async def ending(chat: Chat, working: Working, text: str, **settings: Any) -> Any:
    """Return the outcome of one message, after the next one was answered as well."""
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, text)
    await chat.ada.say(session, "and then?")
    async with working(**settings):
        await until_idle(chat)
    await assert_sound(chat.admin)
    return await chat.outcome((await chat.run_of(message))["id"])


async def test_a_plain_message_gets_a_complete_reply(chat: Chat, working: Working) -> None:
    row = await ending(chat, working, "Hello there")
    assert (row["status"], row["reason"], row["error"]) == ("completed", None, None)
    assert "Hello there" in text_of(row)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "fatal", "after": 3}, "model_refused"),
        ({"kind": "retryable", "attempts": 99, "after": 3}, "model_unavailable"),
        ({"kind": "rate_limited", "attempts": 99, "after": 3}, "model_rate_limited"),
        ({"kind": "truncated", "attempts": 99, "after": 3}, "model_stream_truncated"),
        ({"kind": "defect", "attempts": 99, "after": 3}, "internal_error"),
    ],
)
async def test_a_run_that_cannot_succeed_fails_with_a_code_and_keeps_its_text(
    chat: Chat, working: Working, fault: dict[str, Any], error: str
) -> None:
    await chat.configure(max_failures=2, turn_wait_s=1)
    row = await ending(chat, working, script(deltas=5, fault=fault))
    assert (row["status"], row["reason"], row["error"]) == ("incomplete", "failed", error)
    assert text_of(row) == "word1 word2 word3 "


@pytest.mark.parametrize("kind", ["retryable", "truncated", "defect"])
async def test_an_error_that_passes_costs_nothing_but_time(
    chat: Chat, working: Working, kind: str
) -> None:
    fault = {"kind": kind, "attempts": 2, "after": 3}
    row = await ending(chat, working, script(deltas=5, fault=fault))
    assert row["status"] == "completed"
    assert text_of(row) == "word1 word2 word3 word4 word5 "
    assert (await chat.run(row["run_id"]))["fence"] == 3


async def test_a_stream_cut_short_is_never_a_complete_reply(chat: Chat, working: Working) -> None:
    await chat.configure(max_failures=1)
    row = await ending(chat, working, script(deltas=5, fault={"kind": "truncated", "after": 5}))
    assert (row["status"], row["error"]) == ("incomplete", "model_stream_truncated")


async def test_a_provider_that_names_a_time_is_not_asked_before_it(
    chat: Chat, working: Working
) -> None:
    fault = {"kind": "rate_limited", "retry_after_s": 1}
    row = await ending(chat, working, script(deltas=5, fault=fault))
    waited = await chat.admin.fetchval(
        "select ended_at - started_at >= interval '1 s' from engine.runs where id = $1",
        row["run_id"],
    )
    assert waited


async def test_a_model_that_nobody_serves_fails_the_run(chat: Chat, working: Working) -> None:
    await chat.admin.execute("update public.assistants set model = 'nobody:gpt'")
    row = await ending(chat, working, "Hello")
    assert (row["reason"], row["error"]) == ("failed", "model_not_found")
    assert (await chat.run(row["run_id"]))["fence"] == 1


async def test_a_model_that_reached_its_limit_is_incomplete(chat: Chat, working: Working) -> None:
    row = await ending(chat, working, script(deltas=5, finish="length"))
    assert (row["status"], row["reason"]) == ("incomplete", "max_output_tokens")
    assert text_of(row) == "word1 word2 word3 word4 word5 "


async def test_a_call_that_the_limit_cut_is_not_made(chat: Chat, working: Working) -> None:
    text = script(tool_calls=[{"name": "fly"}], finish="length")
    row = await ending(chat, working, text)
    assert (row["status"], row["reason"]) == ("incomplete", "max_output_tokens")
    assert await chat.admin.fetchval("select count(*) from engine.run_steps") == 0


async def test_a_text_without_end_is_cut_and_its_run_incomplete(
    chat: Chat, working: Working
) -> None:
    row = await ending(chat, working, script(deltas=1000), worker_max_text_bytes=500)
    assert (row["status"], row["reason"]) == ("incomplete", "max_output")
    assert 450 < len(text_of(row)) <= 500


async def test_characters_that_no_row_can_hold_do_not_fail_a_run(
    chat: Chat, working: Working
) -> None:
    row = await ending(chat, working, script(text="a\x00b"))
    assert row["status"] == "completed"
    assert text_of(row) == "a\ufffdb"


async def test_an_answer_without_words_is_a_complete_reply_that_history_leaves_out(
    chat: Chat, working: Working
) -> None:
    row = await ending(chat, working, script(deltas=0))
    assert row["status"] == "completed"
    assert row["content"] == []


async def test_an_assistant_that_was_deleted_fails_the_run(chat: Chat, working: Working) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "Hello")
    other = await chat.admin.fetchval(
        "insert into public.assistants (name, visibility) values ('Other', 'everyone') returning id"
    )
    await chat.admin.execute("update public.chat_sessions set assistant_id = $1", other)
    await chat.admin.execute("update engine.settings set default_assistant_id = $1", other)
    await chat.admin.execute("delete from public.assistants where id <> $1", other)
    async with working():
        await until_idle(chat)
    row = await chat.outcome((await chat.run_of(message))["id"])
    assert (row["reason"], row["error"]) == ("failed", "assistant_not_found")


@pytest.mark.parametrize("hostile", ["[" * 300 + "]" * 300, "1" * 5000], ids=["deep", "long"])
async def test_a_history_that_cannot_be_read_fails_its_own_run_and_no_other(
    chat: Chat, working: Working, hostile: str
) -> None:
    bad, good = [await chat.ada.start_session() for _ in range(2)]
    refused = await chat.ada.say(bad, "Hello")
    content = f'[{{"type": "text", "text": "Hello", "more": {hostile}}}]'
    # What the checks keep out today may lie in a row from before they were there.
    await chat.admin.execute(UNCHECKED)
    await chat.admin.execute(f"update public.messages set content = '{content}'")
    await chat.admin.execute("alter table public.messages enable trigger user")
    answered = await chat.ada.say(good, "Hello")
    async with working():
        await until_idle(chat)
    row = await chat.outcome((await chat.run_of(refused))["id"])
    assert (row["reason"], row["error"]) == ("failed", "history_unreadable")
    assert (await chat.outcome((await chat.run_of(answered))["id"]))["status"] == "completed"


async def test_what_the_database_refuses_to_store_ends_the_run_at_the_cap(
    chat: Chat, working: Working
) -> None:
    await chat.configure(max_failures=2)
    await chat.admin.execute(
        "create function public.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception using errcode = 'XX000', message = new.content::text; end $$;"
        " create trigger refuse before insert on public.messages for each row"
        " when (new.role = 'assistant' and new.content <> '[]') execute function public.refuse()"
    )
    row = await ending_alone(chat, working, "Hello", worker_lease_s=0.5)
    assert (row["status"], row["error"]) == ("incomplete", "worker_lost")


async def ending_alone(chat: Chat, working: Working, text: str, **settings: Any) -> Any:
    """Return the outcome of a message that nothing follows."""
    message = await chat.ada.say(await chat.ada.start_session(), text)
    async with working(**settings):
        await until_idle(chat)
    return await chat.outcome((await chat.run_of(message))["id"])
