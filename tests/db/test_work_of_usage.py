"""What housekeeping of caches and a look at a budget read does not grow with what lies around."""

from typing import Any

import pytest

from tests.db.test_caches import CACHE, find, keep, key, lead, let_pass
from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import ADA

_READS = """
select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
from pg_stat_xact_user_tables where relid = $1::regclass
"""
_SIZES = """
select l.cache,
    coalesce((select sum(s.bytes) from engine.cache_sizes as s where s.cache = l.cache), 0)
    = coalesce((select sum(e.bytes) from engine.cache_entries as e where e.cache = l.cache), 0)
from engine.cache_limits as l
"""
_FULL = f"""
insert into engine.cache_entries (cache, key, value, bytes, used_at, expires_at)
select '{CACHE}', sha256(n::text::bytea), '"x"', 100, now() - make_interval(secs => n), 'infinity'
from generate_series(1, 20000) as n
"""


async def reads(chat: Chat, table: str, sql: str, *values: Any) -> tuple[Any, int]:
    """Return what a statement returns, and how many rows of the table it has read."""
    connection = await chat.line().open()
    async with connection.transaction():
        found = await connection.fetchval(sql, *values)
        return found, await connection.fetchval(_READS, table)


async def test_a_cache_that_is_large_enough_is_not_read(chat: Chat) -> None:
    await chat.admin.execute(_FULL)
    await chat.admin.execute("analyze engine.cache_entries")

    gone, read = await reads(chat, "engine.cache_entries", "select engine.purge_caches(100)")

    assert (gone, read) == (0, 0)


async def test_of_a_cache_that_is_too_large_no_more_is_read_than_goes_at_a_time(chat: Chat) -> None:
    await chat.admin.execute(_FULL)
    await chat.admin.execute("analyze engine.cache_entries")
    await chat.admin.execute("update engine.cache_limits set max_bytes = 1999000")

    gone, read = await reads(chat, "engine.cache_entries", "select engine.purge_caches(50)")

    assert gone == 10
    assert read <= 3 * 50
    oldest = (
        "select count(*) from engine.cache_entries as e, generate_series(19991, 20000) as n"
        " where e.key = sha256(n::text::bytea)"
    )
    assert await chat.admin.fetchval(oldest) == 0


async def test_the_size_of_a_cache_is_that_of_its_entries_whatever_becomes_of_them(
    chat: Chat,
) -> None:
    async def is_right() -> bool:
        return all(row[1] for row in await chat.admin.fetch(_SIZES))

    for name in "abc":
        await keep(chat, name, "x" * 50)
    await keep(chat, "a", "x" * 70, cache="results")
    assert await is_right()
    await keep(chat, "b", "x" * 20)
    await let_pass(chat, 100_000)
    await lead(chat, "w1", "a")
    await lead(chat, "w1", "new")
    assert await is_right()
    await keep(chat, "a", "x" * 10)
    await chat.worker.call("release_cached", CACHE, key("new"), "w1")
    await chat.worker.call("purge", 1)
    assert await is_right()
    await chat.admin.execute("delete from engine.cache_entries where cache = 'responses'")
    assert await is_right()
    await keep(chat, "a")
    await chat.admin.execute("truncate engine.cache_entries")
    assert await is_right()
    assert await chat.admin.fetchval("select count(*) from engine.cache_sizes") == 0


async def test_while_one_worker_clears_the_caches_the_others_do_not(chat: Chat) -> None:
    await keep(chat, "a", ttl_s=1)
    await let_pass(chat, 2)
    one = await chat.line().open()
    async with one.transaction():
        assert await one.fetchval("select engine.purge_caches(0)") == 0
        assert (await chat.worker.call("purge", 100))["cached"] == 0

    assert (await chat.worker.call("purge", 100))["cached"] == 1


@pytest.mark.parametrize("has_expired", [False, True])
async def test_an_entry_that_somebody_is_writing_is_not_waited_for(
    chat: Chat, *, has_expired: bool
) -> None:
    for name in "ab":
        await keep(chat, name, "x" * 98)
    if has_expired:
        await let_pass(chat, 100_000)
    await chat.admin.execute("update engine.cache_limits set max_bytes = 1")
    one = await chat.line().open()
    async with one.transaction():
        held = "select from engine.cache_entries where key = decode($1, 'hex') for update"
        await one.execute(held, key("a"))
        assert (await chat.worker.call("purge", 100))["cached"] == 1

    assert set(await find(chat, "a", "b")) == (set() if has_expired else {"a"})


async def test_a_place_for_what_is_too_large_is_not_waited_for_either(chat: Chat) -> None:
    await chat.admin.execute("update engine.cache_limits set max_entry_bytes = 10")
    await lead(chat, "w1", "a")
    one = await chat.line().open()
    async with one.transaction():
        held = "select from engine.cache_entries where key = decode($1, 'hex') for update"
        await one.execute(held, key("a"))
        await keep(chat, "a", "x" * 100)

    await keep(chat, "a", "x" * 100)
    assert await chat.admin.fetchval("select count(*) from engine.cache_entries") == 0


async def test_a_hit_tells_when_it_was_every_ten_minutes(chat: Chat) -> None:
    await keep(chat, "a")
    used_at = "select used_at from engine.cache_entries"
    age = "update engine.cache_entries set used_at = used_at - make_interval(mins => $1)"
    for look in (find(chat, "a"), lead(chat, "w1", "a")):
        await chat.admin.execute(age, 9)
        before = await chat.admin.fetchval(used_at)
        await find(chat, "a")
        await lead(chat, "w1", "a")
        assert await chat.admin.fetchval(used_at) == before
        await chat.admin.execute(age, 2)
        await look
        assert await chat.admin.fetchval(used_at) > before


_ELSEWHERE = """
insert into engine.budget_reservations (id, user_id, org_id, assistant_id, tokens, expires_at)
select gen_random_uuid(), 'user_' || n, 'org_' || n, gen_random_uuid(), 1, 'infinity'
from generate_series(1, 20000) as n
"""
_OWN = """
insert into engine.budget_reservations (id, user_id, org_id, assistant_id, tokens, expires_at)
values (gen_random_uuid(), $1, 'org_a', $2, 40, 'infinity')
"""


async def test_a_look_at_a_budget_reads_the_reservations_that_concern_it_alone(chat: Chat) -> None:
    await chat.admin.execute(
        "insert into engine.budgets (scope, subject, period, hard_tokens)"
        " select scope, null, period, 100 from unnest(array['user', 'organisation', 'assistant'])"
        " as scope, unnest(array['day', 'month']) as period"
    )
    await chat.admin.execute(_ELSEWHERE)
    await chat.admin.execute("analyze engine.budget_reservations")
    look = "select engine.find_budget($1, 'org_a', $2, gen_random_uuid(), true) ->> 'state'"

    for count in range(4):
        found, read = await reads(chat, "engine.budget_reservations", look, ADA.sub, DEMO_ASSISTANT)
        assert found == (None if count < 3 else "hard")
        assert read == 3 * count
        await chat.admin.execute(_OWN, ADA.sub, DEMO_ASSISTANT)
