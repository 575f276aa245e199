"""The hot queries read what they return, by an index, however large the tables are."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.support.chat import Chat, open_chat
from tests.support.cluster import Database, PreparedCluster
from tests.support.crowd import DEEP_SESSION, fill
from tests.support.identities import assume, user
from tests.support.worker import text

_USER = user("user_1")
_LARGE = ("messages", "chat_sessions", "runs", "events")
_READS = """
select relname, coalesce(seq_scan, 0) as whole, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
from pg_stat_xact_user_tables where relname = any($1)
"""
_WAITING = "select pg_stat_get_xact_numscans('engine.runs_waiting_idx'::regclass)"


@dataclass(frozen=True)
class Reads:
    """What a transaction has read so far: rows of each large table, and tables read whole."""

    rows: dict[str, int]
    whole: list[str]


@pytest.fixture(scope="module")
def crowded(cluster: PreparedCluster) -> Iterator[Database]:
    with cluster.database() as database:
        asyncio.run(_fill(database))
        yield database


async def _fill(database: Database) -> None:
    async with AsyncExitStack() as stack:
        await fill((await open_chat(database, stack)).admin)


@pytest_asyncio.fixture
async def chat(crowded: Database) -> AsyncIterator[Chat]:
    async with AsyncExitStack() as stack:
        yield await open_chat(crowded, stack)


@pytest_asyncio.fixture(params=["force_custom_plan", "force_generic_plan"])
async def connection(chat: Chat, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Yield a connection in a transaction that is rolled back, under both kinds of plans."""
    settings = {"plan_cache_mode": str(request.param), "random_page_cost": "1.1"}
    opened = await chat.line(**settings).open()
    transaction = opened.transaction()
    await transaction.start()
    yield opened
    await transaction.rollback()


_PAGE = "select * from public.messages where session_id = $1 and position"
_SESSIONS = """
select * from public.chat_sessions where user_id = $1
and (last_message_at, id) < ('infinity', '00000000-0000-4000-8000-000000000001')
order by last_message_at desc, id desc limit 20
"""
_PLANS: dict[str, tuple[str, list[str]]] = {
    "a page towards the past": (
        f"{_PAGE} < 1000000000 order by position desc limit 50",
        [DEEP_SESSION],
    ),
    "a page towards the present": (f"{_PAGE} > 100 order by position limit 50", [DEEP_SESSION]),
    "a page of a user's sessions": (_SESSIONS, ["user_1"]),
    "the sessions of whoever asks": (_SESSIONS.replace("user_id = $1\nand", ""), []),
    "the runs of a session": (
        "select * from public.runs where session_id = $1 order by queued_no desc limit 20",
        [DEEP_SESSION],
    ),
}


@pytest.mark.parametrize("name", _PLANS)
async def test_a_page_is_read_in_order_from_an_index(connection: Any, name: str) -> None:
    sql, values = _PLANS[name]
    await assume(connection, _USER)

    (plan,) = json.loads(await connection.fetchval(f"explain (format json) {sql}", *values))

    nodes = set(_nodes(plan["Plan"]))
    assert nodes & {"Index Scan", "Index Only Scan"}
    assert not nodes & {"Seq Scan", "Sort", "Bitmap Heap Scan"}


async def test_a_page_reads_about_as_many_rows_as_it_shows(connection: Any) -> None:
    await assume(connection, _USER)

    for name in ("a page towards the past", "a page towards the present"):
        sql, values = _PLANS[name]
        assert len(await connection.fetch(sql, *values)) == 50

    reads = await _reads(connection)
    assert (reads.whole, reads.rows["messages"]) == ([], 100)


async def test_a_claim_touches_no_waiting_run(connection: Any) -> None:
    assert await connection.fetchval("select engine.claim_runs('worker_9', 10, 10)") == []

    reads = await _reads(connection)
    assert reads.whole == []
    assert reads.rows["runs"] <= 4  # planning looks at the ends of indexes
    assert await connection.fetchval(_WAITING) == 0


async def test_a_claim_reads_the_runs_that_it_takes(connection: Any) -> None:
    await _make_ready(connection, 50)
    before = await _reads(connection)

    claims = await connection.fetchval("select engine.claim_runs('worker_9', 10, 10)")

    reads = await _reads(connection)
    assert len(claims) == 10
    assert reads.whole == before.whole
    assert reads.rows["runs"] - before.rows["runs"] <= 60
    assert await connection.fetchval(_WAITING) == 0


async def test_a_heartbeat_reads_its_own_runs(connection: Any) -> None:
    held = await connection.fetchval(
        "select jsonb_agg(jsonb_build_object('run_id', id, 'fence', fence)) from"
        " (select id, fence from engine.runs where status = 'running' and lease_until is not null"
        " order by lease_until limit 32) r"
    )
    before = await _reads(connection)

    answer = await connection.fetchval("select engine.heartbeat_runs('worker_1', $1, 10)", held)

    reads = await _reads(connection)
    assert (answer["lost"], reads.whole) == ([], before.whole)
    assert reads.rows["runs"] - before.rows["runs"] <= 200


async def test_streams_read_what_is_new_and_no_run_that_waits(connection: Any) -> None:
    hot = await connection.fetch(
        "select session_id::text, id::text as run_id, 2 as after from engine.runs"
        " where status = 'running' order by id limit 40"
    )
    deep = await connection.fetchrow(
        "select session_id::text, id::text as run_id, 1 as after from engine.runs"
        " where session_id = $1 order by queued_no desc limit 1",
        DEEP_SESSION,
    )
    before = await _reads(connection)

    cursors = [dict(cursor) for cursor in (*hot, deep)]
    read = await connection.fetchval("select engine.read_streams($1)", cursors)

    reads = await _reads(connection)
    assert [len(found["events"]) for found in read] == [0] * 40 + [1]
    assert reads.whole == before.whole
    assert reads.rows["events"] - before.rows["events"] <= 5
    assert reads.rows["runs"] - before.rows["runs"] <= 41 * 5


async def test_the_reaper_with_nothing_to_do_reads_nothing(connection: Any) -> None:
    await connection.fetchval("select engine.reap_runs(16)")

    reads = await _reads(connection)
    assert reads.whole == []
    assert reads.rows["runs"] <= 4


async def test_history_reads_the_path_and_no_more(connection: Any) -> None:
    run = await _claim_at_the_end_of_the_deep_session(connection)
    before = await _reads(connection)

    history = await connection.fetchval("select engine.run_history($1, 'worker_9', 2)", run)

    reads = await _reads(connection)
    assert len(history["messages"]) == 200
    assert reads.whole == before.whole
    assert reads.rows["messages"] - before.rows["messages"] <= 2 * 200 + 10


@pytest.mark.parametrize(
    ("query", "most"),
    [("dragon777", 4), ("word3 dragon17", 4), ('"dragon500 of"', 4), ("dragon1", 100)],
)
async def test_a_search_reads_what_it_finds_and_no_other_users_rows(
    connection: Any, query: str, most: int
) -> None:
    await assume(connection, _USER)

    found = await connection.fetch("select * from public.search_messages($1)", query)

    reads = await _reads(connection)
    assert found
    assert reads.whole == []
    assert reads.rows["messages"] <= most


async def test_an_insert_reads_a_few_rows_whatever_the_session_holds(connection: Any) -> None:
    await assume(connection, _USER)

    await connection.execute(
        "insert into public.messages (session_id, content) values ($1, $2)", DEEP_SESSION, "Hello"
    )
    await connection.execute("set constraints all immediate")

    reads = await _reads(connection)
    assert reads.whole == []
    assert max(reads.rows.values()) <= 20


async def test_the_end_of_a_run_reads_a_few_rows_whatever_the_session_holds(
    connection: Any,
) -> None:
    run = await _claim_at_the_end_of_the_deep_session(connection)
    before = await _reads(connection)

    answer = await connection.fetchval(
        "select engine.finish_run($1, 'worker_9', 2, 'completed', null, $2, null, null, null, '[]')",
        run,
        text("A door."),
    )
    await connection.execute("set constraints all immediate")

    reads = await _reads(connection)
    assert answer["state"] == "stored"
    assert reads.whole == before.whole
    assert max(reads.rows[name] - before.rows[name] for name in reads.rows) <= 40


async def test_deleting_a_session_reads_its_own_rows(connection: Any) -> None:
    await assume(connection, _USER)
    (session,) = await connection.fetchrow(
        "select id from public.chat_sessions where title = 'Chat 5'"
    )
    before = await _reads(connection)

    await connection.execute("delete from public.chat_sessions where id = $1", session)
    await connection.execute("set constraints all immediate")

    reads = await _reads(connection)
    assert reads.whole == before.whole
    assert max(reads.rows[name] - before.rows[name] for name in reads.rows) <= 200


async def test_deleting_a_message_reads_its_neighbours(connection: Any) -> None:
    await assume(connection, _USER)
    (message,) = await connection.fetchrow(
        "select id from public.messages where session_id = $1 order by position offset 500 limit 1",
        DEEP_SESSION,
    )
    before = await _reads(connection)

    await connection.execute("delete from public.messages where id = $1", message)
    await connection.execute("set constraints all immediate")

    reads = await _reads(connection)
    assert reads.whole == before.whole
    assert reads.rows["messages"] - before.rows["messages"] <= 40


async def test_a_large_deletion_does_not_spoil_the_small_ones_after_it(connection: Any) -> None:
    await assume(connection, _USER)
    await connection.execute("delete from public.messages where session_id = $1", DEEP_SESSION)
    (message,) = await connection.fetchrow("select id from public.messages limit 1")
    before = await _reads(connection)

    await connection.execute("delete from public.messages where id = $1", message)
    await connection.execute("set constraints all immediate")

    reads = await _reads(connection)
    assert max(reads.rows[name] - before.rows[name] for name in reads.rows) <= 40


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield str(plan["Node Type"])
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


async def _reads(connection: Any) -> Reads:
    counted = await connection.fetch(_READS, list(_LARGE))
    return Reads(
        rows={row["relname"]: row["rows"] for row in counted},
        whole=sorted(row["relname"] for row in counted if row["whole"]),
    )


async def _make_ready(connection: Any, number: int) -> None:
    await connection.execute(
        "update engine.runs set status = 'ready', lease_until = null, worker = null where id in"
        " (select id from engine.runs where status = 'running' order by lease_until limit $1)",
        number,
    )


async def _claim_at_the_end_of_the_deep_session(connection: Any) -> Any:
    run = await connection.fetchval(
        "update engine.runs set status = 'running', fence = 2, worker = 'worker_9', ended_at = null,"
        " lease_until = now() + interval '1 hour' where message_id = (select id from messages"
        " where session_id = $1 and role = 'user' order by position desc limit 1) returning id",
        DEEP_SESSION,
    )
    await connection.execute("update messages set run_id = null where run_id = $1", run)
    return run
