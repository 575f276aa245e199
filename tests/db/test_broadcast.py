"""Realtime: who may follow a session, and how the end of a run without a worker gets there."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.broadcast.permissions import may_follow, may_send
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.identities import ADA, ANONYMOUS, BOB, EMPTY_SUB, NO_SUB, SERVICE, Identity, user
from tests.support.listener import Listener

SUPABASE = Path(__file__).parents[2] / "supabase"
POLICIES = SUPABASE / "policies" / "realtime" / "messages.sql"
OTHERS = [BOB, NO_SUB, EMPTY_SUB, ANONYMOUS]
OTHER_NAMES = ["another user", "nobody", "an empty sub", "a visitor"]
EVERYBODY = "for select to anon, authenticated using (true)"
MALFORMED = ["", "session:", "session:x", "session:{}x", "session:{} ", "session: {}", "x{}"]
MALFORMED += ["session:%", "session:{}:1", "session:'; select 1; --", f"session:{'0' * 36}"]
_FAILING_SEND = (
    "create or replace function realtime.send(payload jsonb, event text, topic text,"
    " private boolean default true) returns void language plpgsql as"
    " $$ begin raise exception 'no'; end $$"
)
_POLICY_ROWS = (
    "select policyname, permissive, roles, cmd, qual, with_check from pg_policies"
    " where schemaname = 'realtime' order by 1"
)


@pytest.mark.parametrize("who", OTHERS, ids=OTHER_NAMES)
async def test_nobody_else_follows_a_session(chat: Chat, who: Identity) -> None:
    topic = f"session:{await chat.ada.start_session()}"

    assert not await may_follow(chat.admin, who, topic)


@pytest.mark.parametrize("who", OTHERS, ids=OTHER_NAMES)
async def test_nobody_else_follows_a_session_where_a_project_lets_everybody_receive(
    chat: Chat, who: Identity
) -> None:
    topic = f"session:{await chat.ada.start_session()}"
    await chat.admin.execute(f'create policy "open" on realtime.messages {EVERYBODY}')

    assert not await may_follow(chat.admin, who, topic)
    assert not await may_follow(chat.admin, who, topic, "presence")
    assert await may_follow(chat.admin, who, "lobby")


async def test_the_owner_of_a_session_follows_it(chat: Chat) -> None:
    topic = f"session:{await chat.ada.start_session()}"

    assert await may_follow(chat.admin, ADA, topic)
    assert not await may_follow(chat.admin, ADA, topic, "presence")


async def test_the_members_of_an_organisation_follow_its_sessions_until_they_leave(
    chat: Chat,
) -> None:
    session = await chat.browser(user("user_2eve", org_id="org_1")).start_session()

    for claims, may in (({"org_id": "org_1"}, True), ({"o": {"id": "org_2"}}, False), ({}, False)):
        for name in ("user_2eve", "user_2mallory"):
            who = user(name, **claims)
            assert await may_follow(chat.admin, who, f"session:{session}") == may


async def test_a_session_that_is_gone_or_was_never_there_has_no_followers(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.delete("chat_sessions", session)

    assert not await may_follow(chat.admin, ADA, f"session:{session}")
    assert not await may_follow(chat.admin, ADA, f"session:{uuid4()}")


@pytest.mark.parametrize(
    "form",
    MALFORMED,
)
async def test_a_malformed_topic_is_nobodys_and_breaks_nothing(chat: Chat, form: str) -> None:
    session = await chat.ada.start_session()

    assert not await may_follow(chat.admin, ADA, form.format(session))


async def test_an_id_in_capitals_is_another_topic(chat: Chat) -> None:
    session = str(await chat.ada.start_session())

    assert not await may_follow(chat.admin, ADA, f"session:{session.upper()}")


@pytest.mark.parametrize("extension", ["broadcast", "presence"])
@pytest.mark.parametrize("who", [ADA, *OTHERS], ids=["the owner", *OTHER_NAMES])
async def test_only_the_service_speaks_in_a_session(
    chat: Chat, who: Identity, extension: str
) -> None:
    topic = f"session:{await chat.ada.start_session()}"
    anybody = "for insert to anon, authenticated with check (true)"
    await chat.admin.execute(f'create policy "open" on realtime.messages {anybody}')

    assert not await may_send(chat.admin, who, topic, extension)
    assert await may_send(chat.admin, who, "lobby", extension)
    assert await may_send(chat.admin, SERVICE, topic, extension)


async def test_without_a_topic_no_message_is_seen(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.park(claim, "call_1")
    await chat.let_waits_expire()
    await chat.worker.reap()
    assert await chat.admin.fetchval("select count(*) from realtime.messages") == 1

    assert await chat.ada.fetch("select from realtime.messages") == []


def test_a_migration_ships_the_policies_word_for_word() -> None:
    migration = max((SUPABASE / "migrations").glob("*_protect_realtime_messages.sql"))

    assert _without_timeouts(POLICIES) in _without_timeouts(migration)


def test_the_policies_applied_again_change_nothing(database: Database) -> None:
    before = database.execute(_POLICY_ROWS)
    assert before.count("RESTRICTIVE") == 3
    database.execute(
        'alter policy "members follow the sessions of their tenant" on realtime.messages using (true)'
    )

    _apply(database)

    assert database.execute(_POLICY_ROWS) == before


def test_a_project_whose_platform_refuses_the_policies_takes_the_file_all_the_same(
    database: Database,
) -> None:
    for name in re.findall(r'create policy "(.*)" on', POLICIES.read_text(encoding="utf-8")):
        database.execute(f'drop policy "{name}" on realtime.messages')
    database.execute("alter table realtime.messages owner to supabase_admin")

    _apply(database)

    assert database.execute(_POLICY_ROWS) == ""


@pytest.mark.parametrize("gone", ["table realtime.messages", "function realtime.topic()"])
def test_a_database_without_realtime_takes_the_file(database: Database, gone: str) -> None:
    database.execute(f"drop {gone} cascade")

    _apply(database)


async def test_the_end_of_a_run_without_a_worker_is_sent_to_who_follows(chat: Chat) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "M1")
    run = (await chat.run_of(message))["id"]

    await chat.ada.cancel(run)

    (sent,) = await _sent(chat)
    outcome = await chat.outcome(run)
    assert (sent["topic"], sent["event"], sent["private"]) == (f"session:{session}", "events", True)
    assert sent["payload"]["events"] == [
        {
            "run_id": str(run),
            "seq": 1,
            "type": "run.cancelled",
            "message_id": str(outcome["id"]),
            "status": "cancelled",
            "reason": "cancelled",
            "error": None,
        }
    ]


async def test_what_is_sent_is_what_the_stream_says(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.park(claim, "call_1")
    await chat.let_waits_expire()

    await chat.worker.reap()

    (sent,) = await _sent(chat)
    assert sent["payload"]["events"] == (await chat.worker.read_stream(claim))["events"][-1:]


async def test_runs_that_end_together_are_all_sent_in_their_order(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, "M1", "M2", "M3")
    runs = [str(run["id"]) for run in await chat.runs(session)]

    for run in reversed(runs):
        await chat.ada.cancel(UUID(run))

    *_, last = await _sent(chat)
    assert [event["run_id"] for event in last["payload"]["events"]] == runs


async def test_runs_that_were_superseded_while_they_waited_are_sent_when_their_turn_comes(
    chat: Chat,
) -> None:
    claim = await chat.claimed(while_running="supersede")
    waiting = [await chat.ada.say(claim["session_id"], text) for text in ("M2", "M3")]
    superseded = str((await chat.run_of(waiting[0]))["id"])
    assert await _sent(chat) == []

    await chat.worker.finish(claim)

    (sent,) = await _sent(chat)
    ends = {event["run_id"]: event["type"] for event in sent["payload"]["events"]}
    assert ends[superseded] == "run.cancelled"


async def test_the_ends_of_other_sessions_are_not_told(chat: Chat) -> None:
    claims = [await chat.claimed(), await chat.claimed()]
    for claim in claims:
        await chat.worker.park(claim, "call_1")
    await chat.let_waits_expire()

    await chat.worker.reap()

    sent = await _sent(chat)
    assert {row["topic"] for row in sent} == {f"session:{it['session_id']}" for it in claims}
    assert [len(row["payload"]["events"]) for row in sent] == [1, 1]


async def test_a_run_that_ended_before_is_not_told_again(chat: Chat) -> None:
    session = await chat.ada.start_session()
    for text in ("M1", "M2"):
        message = await chat.ada.say(session, text)
        await chat.ada.cancel((await chat.run_of(message))["id"])

    assert [len(row["payload"]["events"]) for row in await _sent(chat)] == [1, 1]


async def test_what_a_worker_ends_is_left_to_the_worker(chat: Chat) -> None:
    claim = await chat.claimed()
    await chat.worker.finish(claim)

    assert await _sent(chat) == []


@pytest.mark.parametrize(
    "broken",
    [
        "drop function realtime.send(jsonb, text, text, boolean)",
        "drop schema realtime cascade",
        "alter schema realtime owner to supabase_admin; revoke usage on schema realtime from postgres",
        "alter table realtime.messages add constraint never check (false) not valid",
        _FAILING_SEND,
    ],
    ids=["no function", "no Realtime", "no right", "no partition", "an error"],
)
async def test_a_realtime_that_fails_costs_nobody_the_end_of_a_run(chat: Chat, broken: str) -> None:
    listener = Listener(await chat.line().open(), "assistants_events")
    await listener.start()
    message = await chat.ada.say(await chat.ada.start_session(), "M1")
    run = (await chat.run_of(message))["id"]
    async with chat.admin.transaction():
        await chat.admin.execute(broken)

    await chat.ada.cancel(run)

    assert (await chat.run(run))["status"] == "cancelled"
    assert await listener.heard() == [str((await chat.run(run))["session_id"])]


async def test_the_end_is_found_by_an_index_however_many_runs_a_session_has(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say_all(session, *(f"M{number}" for number in range(200)))
    for run in reversed(await chat.runs(session)):
        await chat.ada.cancel(run["id"])
    while "cancelling" in await chat.statuses(session):
        await chat.worker.reap()
    await chat.admin.execute("analyze engine.runs")
    query = (
        "explain (costs off) select r.id from engine.runs r where r.session_id = $1"
        " and not r.events_purged and r.ended_at >= transaction_timestamp()"
        " order by r.ended_at desc limit 100"
    )

    plan = [row[0] for row in await chat.admin.fetch(query, session)]

    assert any("Index Scan Backward using runs_ended_at_idx" in line for line in plan), plan


async def _sent(chat: Chat) -> list[Any]:
    return list(
        await chat.admin.fetch("select * from realtime.messages order by inserted_at, ctid")
    )


def _apply(database: Database) -> None:
    script = POLICIES.read_text(encoding="utf-8")
    database.cluster.execute(script, database=database.name, role="postgres")


def _without_timeouts(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not re.match(r"set \w+_timeout", line)).strip()
