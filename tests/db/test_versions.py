"""The same conversation on each version that Supabase runs or will run, also when tables grow."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import Chat, open_chat
from tests.support.cluster import MAJORS, Database
from tests.support.worker import call, delta

OpenDatabase = Callable[[int], Database]

# What a later release may do, and an operator to the tables in `public`.
GROW = r"""
do $$
declare
    v_table regclass;
begin
    for v_table in
        select oid from pg_class where relkind = 'r'
        and relnamespace in ('public'::regnamespace, 'engine'::regnamespace)
    loop
        execute format('alter table %s add column grown integer default 1', v_table);
    end loop;
    execute 'create or replace view public.runs with (security_invoker = true) as '
        || regexp_replace(pg_get_viewdef('public.runs'), '\sFROM', ', 1 as grown FROM');
end
$$
"""


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("grown", [False, True])
async def test_a_conversation_is_answered_also_where_tables_have_got_more_columns(
    database_of: OpenDatabase, major: int, grown: bool
) -> None:
    async with AsyncExitStack() as stack:
        database = database_of(major)
        if grown:
            database.execute(GROW)
        chat = await open_chat(database, stack)
        session = await chat.ada.start_session()
        await chat.ada.say_all(session, "M1", "M2")

        await _work_through_every_function(chat)

        assert await chat.path(session) == ["M1", "R1", "M2", "", "R2"]
        assert await chat.statuses(session) == ["completed", "completed"]
        assert len(await chat.ada.search("M1 or R2")) == 2
        again = await chat.ada.regenerate((await chat.messages(session))[0]["id"])
        cancelled = await chat.ada.cancel(again)
        assert cancelled["status"] == "cancelled"
        assert cancelled.get("grown") == (1 if grown else None)
        assert await chat.ada.delete("messages", (await chat.messages(session))[0]["id"]) == 1
        assert await chat.ada.delete("chat_sessions", session) == 1


@pytest.mark.parametrize("major", MAJORS)
async def test_another_user_is_refused(database_of: OpenDatabase, major: int) -> None:
    async with AsyncExitStack() as stack:
        chat = await open_chat(database_of(major), stack)
        claim = await chat.claimed()

        for attempt in (
            chat.bob.say(UUID(claim["session_id"])),
            chat.bob.cancel(UUID(claim["run_id"])),
            chat.bob.regenerate(UUID(claim["message_id"])),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not yours"):
                await attempt
        assert await chat.bob.fetch("select from public.messages") == []


@pytest.mark.parametrize("major", MAJORS)
async def test_a_lost_worker_is_replaced(database_of: OpenDatabase, major: int) -> None:
    async with AsyncExitStack() as stack:
        chat = await open_chat(database_of(major), stack)
        await chat.configure(backoff_s=0)
        lost = await chat.claimed()
        seen = uuid4()
        await chat.worker.flush(lost, delta(1, seen, "You see"))
        await chat.let_leases_expire()
        await chat.worker.reap()

        claim = await chat.worker.claim_one()

        assert (claim["fence"], claim["discarded_message_id"]) == (2, str(seen))
        assert await chat.worker.finish(lost) == {"state": "lost"}
        assert (await chat.worker.finish(claim))["state"] == "stored"
        read = await chat.worker.read_stream(claim)
        assert [event["type"] for event in read["events"]] == ["message.delta", "run.completed"]
        again = await chat.ada.read_stream(claim["session_id"], f"{claim['run_id']}:1")
        assert (again["resumed"], again["events"]) == (True, read["events"][1:])


async def _work_through_every_function(chat: Chat) -> None:
    first = await chat.worker.claim_one()
    assert (await chat.worker.heartbeat(first))["lost"] == []
    assert (await chat.worker.flush(first, delta(1, uuid4(), "R")))["lost"] == []
    await chat.worker.finish(first, "R1")
    await chat.worker.fail(await chat.worker.claim_one())
    await chat.let_backoff_pass()
    second = await chat.worker.claim_one()
    await chat.worker.checkpoint(second, [call(0, "done", output=1)])
    await chat.worker.say(second, "", 0)
    held = second["run_id"], chat.worker.name, second["fence"]
    await chat.worker.call("park_run", *held, [call(1, "a")], [])
    await chat.ada.submit(UUID(second["run_id"]), [{"call_id": "a", "output": 7}])
    second = await chat.worker.claim_one()
    await chat.worker.release(second)
    second = await chat.worker.claim_one()
    assert len((await chat.worker.history(second))["steps"]) == 2
    await chat.worker.finish(second, "R2")
    counts = await chat.worker.call("purge", 10)
    assert (counts["events"], counts["promoted"]) == (0, 0)
