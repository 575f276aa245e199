"""Requesters have turns: one's burst waits behind the others, and never for ever."""

from typing import Any
from uuid import UUID

from tests.support.browser import Browser
from tests.support.chat import Chat


async def burst(browser: Browser, count: int) -> list[str]:
    """Return the sessions of so many messages."""
    sessions = [await browser.start_session() for _ in range(count)]
    for session in sessions:
        await browser.say(session)
    return [str(session) for session in sessions]


async def claimed(chat: Chat, limit: int) -> list[str]:
    """Return the sessions of the next claims, in their order."""
    return [claim["session_id"] for claim in await chat.worker.claim(limit=limit)]


async def test_a_burst_of_one_waits_behind_the_first_of_another(chat: Chat) -> None:
    adas = await burst(chat.ada, 5)
    bobs = await burst(chat.bob, 2)

    order = [(await claimed(chat, 1))[0] for _ in range(7)]

    assert order == [adas[0], bobs[0], adas[1], bobs[1], *adas[2:]]


async def test_one_claim_keeps_to_that_order(chat: Chat) -> None:
    adas = await burst(chat.ada, 3)
    bobs = await burst(chat.bob, 1)

    assert await claimed(chat, 3) == [adas[0], bobs[0], adas[1]]


async def test_who_has_runs_under_way_waits_for_those_who_have_none(chat: Chat) -> None:
    await burst(chat.ada, 3)
    await claimed(chat, 3)
    adas = await burst(chat.ada, 1)
    bobs = await burst(chat.bob, 1)

    assert await claimed(chat, 2) == [*bobs, *adas]


async def test_runs_that_have_ended_count_no_more(chat: Chat) -> None:
    await burst(chat.ada, 3)
    for claim in await chat.worker.claim():
        await chat.worker.finish(claim)
    adas = await burst(chat.ada, 1)
    bobs = await burst(chat.bob, 1)

    assert await claimed(chat, 2) == [*adas, *bobs]


async def test_a_burst_is_overtaken_for_minutes_and_not_for_ever(chat: Chat) -> None:
    adas = await burst(chat.ada, 3)
    # As if it had been asked ten minutes ago.
    await chat.admin.execute("update engine.runs set turn_at = turn_at - interval '10 min'")
    bobs = await burst(chat.bob, 1)

    assert await claimed(chat, 4) == [*adas, *bobs]


async def test_who_always_has_one_run_open_queues_no_more_than_a_minute_ahead(chat: Chat) -> None:
    await chat.configure(user_messages_per_minute=None)
    before = None
    for _ in range(10):
        await burst(chat.ada, 1)
        claim = await chat.worker.claim_one()
        if before:
            await chat.worker.finish(before)
        before = claim

    ahead = "extract(epoch from max(turn_at) - clock_timestamp())"
    assert await chat.admin.fetchval(f"select {ahead} from engine.runs") <= 60


async def test_a_lower_priority_number_goes_before_all_turns(chat: Chat) -> None:
    adas = await burst(chat.ada, 3)
    bobs = await burst(chat.bob, 1)
    last = "update engine.runs set priority = -1 where session_id = $1"
    await chat.admin.execute(last, UUID(adas[2]))

    assert await claimed(chat, 4) == [adas[2], adas[0], bobs[0], adas[1]]


async def test_a_run_that_is_tried_again_keeps_its_turn(chat: Chat) -> None:
    await chat.configure(backoff_s=0)
    adas = await burst(chat.ada, 2)
    (claim,) = await chat.worker.claim(limit=1)
    await chat.worker.fail(claim)
    await burst(chat.bob, 1)
    await chat.let_backoff_pass()

    assert (await claimed(chat, 1))[0] == adas[0]


async def test_turns_are_found_in_an_index_and_cost_the_same_behind_thousands(chat: Chat) -> None:
    await _many(chat, 20_000)
    plan = await chat.admin.fetch(
        "explain select r.turn_at from engine.runs r where r.requester_id = 'user_many'"
        " and r.status in ('ready', 'running') order by r.turn_at desc limit 1"
    )

    assert "runs_requester_turn_idx" in str(plan)


async def test_runs_that_wait_for_another_try_are_not_read_by_claims(chat: Chat) -> None:
    await _many(chat, 2_000)
    await chat.admin.execute(
        "update engine.runs set turn_at = now() - interval '1 day',"
        " run_after = now() + interval '1 hour'"
    )
    adas = await burst(chat.ada, 1)
    await chat.admin.execute("vacuum analyze engine.runs")
    reads = (
        "select seq_scan + pg_stat_get_xact_tuples_returned('engine.runs_turn_idx'::regclass)"
        " + pg_stat_get_xact_tuples_returned('engine.runs_early_idx'::regclass)"
        " from pg_stat_xact_user_tables where relid = 'engine.runs'::regclass"
    )
    line = await chat.line().open()

    async with line.transaction():
        claims = await line.fetchval("select engine.claim_runs('w', 10, 10)")
        read = await line.fetchval(reads)

    assert [claim["session_id"] for claim in claims] == adas
    assert read <= 2


async def test_a_run_stands_apart_from_the_others_until_its_time_has_come(chat: Chat) -> None:
    early = "select array_agg(is_early order by queued_no) from engine.runs"
    adas = await burst(chat.ada, 2)
    claims = await chat.worker.claim()
    await chat.worker.defer(claims[0], 1000)
    assert await chat.admin.fetchval(early) == [True, False]
    await chat.worker.fail(claims[1], retry_after_s=1000)
    assert await chat.admin.fetchval(early) == [True, True]

    await _let_time_come(chat)
    assert await chat.admin.fetchval(early) == [True, True]
    assert sorted(await claimed(chat, 1) + await claimed(chat, 1)) == sorted(adas)

    assert await chat.admin.fetchval(early) == [False, False]


async def test_runs_whose_time_has_come_go_before_whoever_came_later(chat: Chat) -> None:
    early = await burst(chat.ada, 60)
    await chat.admin.execute("update engine.runs set run_after = now() + interval '1 hour'")
    bobs = await burst(chat.bob, 1)
    assert await claimed(chat, 100) == bobs
    late = await burst(chat.bob, 1)
    await chat.admin.execute(
        "update engine.runs set turn_at = turn_at + interval '1 h' where session_id = $1", late[0]
    )
    await _let_time_come(chat)

    order = [session for _ in range(7) for session in await claimed(chat, 10)]

    assert sorted(order[:60]) == sorted(early)
    assert order[60:] == late


async def test_of_runs_whose_time_has_come_the_first_in_the_queue_goes_first(chat: Chat) -> None:
    early = await burst(chat.ada, 3)
    await chat.admin.execute(
        "update engine.runs set run_after = now() + interval '1 hour'"
        " - make_interval(secs => queued_no)"
    )
    await _let_time_come(chat)

    assert await claimed(chat, 3) == early


async def _let_time_come(chat: Chat) -> None:
    """An hour has passed, for runs that wait; nothing was written meanwhile."""
    await chat.admin.execute("alter table engine.runs disable trigger tell_early")
    await chat.admin.execute("update engine.runs set run_after = now() - interval '1 s'")
    await chat.admin.execute("alter table engine.runs enable trigger tell_early")


async def _many(chat: Chat, count: int) -> Any:
    await chat.admin.execute(
        "with made as (insert into chat_sessions (user_id) select 'user_many'"
        " from generate_series(1, $1::int) returning id)"
        " insert into engine.runs (session_id, user_id, requester_id, model, origin, status, turn_at)"
        " select id, 'user_many', 'user_many', 'offline:demo', 'api', 'ready',"
        " now() + interval '1 min' * row_number() over () from made",
        count,
    )
    await chat.admin.execute("vacuum analyze engine.runs")
