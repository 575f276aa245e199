"""The caches: what has expired is not given, one leads at a time, and no cache outgrows its size."""

from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from tests.support.chat import Chat

CACHE = "responses"


def key(name: str) -> str:
    return sha256(name.encode()).hexdigest()


async def keep(
    chat: Chat, name: str, value: Any = "v", *, cache: str = CACHE, **entry: Any
) -> None:
    await chat.worker.call("keep_cached", cache, [{"key": key(name), "value": value, **entry}])


async def find(chat: Chat, *names: str, cache: str = CACHE) -> dict[str, Any]:
    found = await chat.worker.call("find_cached", cache, [key(name) for name in names])
    return {name: found[key(name)] for name in names if key(name) in found}


async def lead(chat: Chat, holder: str, name: str = "a", lease_s: float = 60) -> Any:
    return await chat.worker.call("lead_cached", CACHE, key(name), holder, lease_s)


async def let_pass(chat: Chat, seconds: float) -> None:
    await chat.admin.execute(
        "update engine.cache_entries set expires_at = expires_at - make_interval(secs => $1),"
        " lease_until = lease_until - make_interval(secs => $1)",
        seconds,
    )


async def test_what_is_kept_is_found_by_its_key_and_in_its_cache_only(chat: Chat) -> None:
    await keep(chat, "a", {"text": "A"})
    await keep(chat, "b", [1, 2])

    assert await find(chat, "a", "b", "c", "a") == {"a": {"text": "A"}, "b": [1, 2]}
    assert await find(chat, "a", cache="results") == {}
    assert await find(chat) == {}
    await keep(chat, "a", "another")
    assert await find(chat, "a") == {"a": "another"}


async def test_nothing_is_given_after_its_time_which_no_caller_stretches(chat: Chat) -> None:
    await chat.admin.execute("update engine.cache_limits set ttl_s = 100 where cache = 'responses'")
    await keep(chat, "short", ttl_s=50)
    await keep(chat, "long", ttl_s=1000)
    await keep(chat, "plain")

    await let_pass(chat, 51)
    assert set(await find(chat, "short", "long", "plain")) == {"long", "plain"}
    await let_pass(chat, 50)

    assert await find(chat, "short", "long", "plain") == {}
    assert (await lead(chat, "w1", "long"))["state"] == "lead"


async def test_hits_and_misses_are_counted_by_day(chat: Chat) -> None:
    await keep(chat, "a")
    for _ in range(3):
        await find(chat, "a", "missing")
    await lead(chat, "w1")
    await lead(chat, "w1", "new")

    assert (
        await chat.admin.fetchval(
            "select hits from engine.cache_entries where key = decode($1, 'hex')", key("a")
        )
        == 4
    )
    row = await chat.admin.fetchrow("select hits, misses from engine.cache_days")
    assert tuple(row) == (4, 4)


async def test_one_leads_and_the_others_wait_until_the_value_is_there(chat: Chat) -> None:
    assert await lead(chat, "w1") == {"state": "lead"}
    assert await lead(chat, "w2") == {"state": "wait"}
    assert await lead(chat, "w1") == {"state": "lead"}
    assert await find(chat, "a") == {}

    await keep(chat, "a", "made")

    assert await lead(chat, "w2") == {"state": "hit", "value": "made"}


async def test_a_leader_that_fails_or_is_silent_makes_room_for_the_next(chat: Chat) -> None:
    await lead(chat, "w1")
    await chat.worker.call("release_cached", CACHE, key("a"), "w2")
    assert await lead(chat, "w2") == {"state": "wait"}
    await chat.worker.call("release_cached", CACHE, key("a"), "w1")
    assert await lead(chat, "w2") == {"state": "lead"}

    await let_pass(chat, 61)

    assert await lead(chat, "w3") == {"state": "lead"}
    assert await lead(chat, "w2") == {"state": "wait"}
    # Late, but just as good; and whoever led meanwhile takes nothing away.
    await keep(chat, "a", "late")
    await chat.worker.call("release_cached", CACHE, key("a"), "w3")
    assert await find(chat, "a") == {"a": "late"}


async def test_what_is_too_large_is_not_kept_and_nobody_waits_for_it(chat: Chat) -> None:
    await chat.admin.execute(
        "update engine.cache_limits set max_entry_bytes = 10 where cache = 'responses'"
    )
    await lead(chat, "w1")

    await keep(chat, "a", "x" * 9)
    assert await lead(chat, "w2") == {"state": "lead"}
    await keep(chat, "a", "x" * 8)

    assert await find(chat, "a") == {"a": "x" * 8}


async def test_housekeeping_takes_what_has_expired_and_then_what_was_used_longest_ago(
    chat: Chat,
) -> None:
    for name in "abcdef":
        await keep(chat, name, "x" * 98, ttl_s=10 if name == "f" else None)
    await keep(chat, "other", "x" * 98, cache="results")
    await let_pass(chat, 11)
    await chat.admin.execute("update engine.cache_entries set used_at = used_at - interval '1 h'")
    await find(chat, "a")
    await chat.admin.execute("update engine.cache_limits set max_bytes = 250")

    assert (await chat.worker.call("purge", 100))["cached"] == 4

    assert set(await find(chat, *"abcdef")) == {"a", "e"}
    assert await find(chat, "other", cache="results") != {}
    assert (await chat.worker.call("purge", 100))["cached"] == 0


async def test_housekeeping_takes_no_more_than_it_is_told_at_a_time(chat: Chat) -> None:
    for name in "abcd":
        await keep(chat, name)
    await chat.admin.execute("update engine.cache_limits set max_bytes = 3")
    assert (await chat.worker.call("purge", 2))["cached"] == 2
    await let_pass(chat, 100_000)

    assert (await chat.worker.call("purge", 1))["cached"] == 1


async def test_housekeeping_clears_calls_after_their_time_and_keeps_what_they_add_up_to(
    chat: Chat,
) -> None:
    await chat.admin.execute(
        "insert into engine.model_calls (id, at, user_id, provider, model, outcome, duration_ms)"
        " select gen_random_uuid(), now() - make_interval(days => d), 'user_2ada', 'openai', 'm',"
        " 'completed', 0 from generate_series(1, 4) as d"
    )
    await chat.admin.execute(
        "insert into engine.budget_reservations (id, tokens, expires_at)"
        " values (gen_random_uuid(), 1, now() - interval '1 s'),"
        " (gen_random_uuid(), 1, now() + interval '1 h')"
    )
    await chat.admin.execute(
        "insert into engine.spending (scope, subject, day, month)"
        " values ('user', 'user_gone', '2020-01-31', '2020-01-01')"
    )
    await chat.configure(model_calls_kept_days=None)
    assert (await chat.worker.call("purge", 100))["calls"] == 0
    await chat.configure(model_calls_kept_days=2)

    assert (await chat.worker.call("purge", 1))["calls"] == 1
    assert (await chat.worker.call("purge", 100))["calls"] == 2

    assert await chat.admin.fetchval("select count(*) from engine.model_calls") == 1
    assert await chat.admin.fetchval("select sum(calls) from engine.usage_days") == 4
    assert await chat.admin.fetchval("select count(*) from engine.budget_reservations") == 1
    assert await chat.admin.fetchval("select array_agg(subject) from engine.spending") == [
        "user_2ada"
    ]


@pytest.mark.parametrize(
    "limit", ["ttl_s = 0", "max_entry_bytes = 0", "max_entry_bytes = 10000001", "max_bytes = 0"]
)
async def test_the_limits_of_a_cache_have_bounds(chat: Chat, limit: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.admin.execute(f"update engine.cache_limits set {limit}")


async def test_a_key_is_a_hash_and_a_cache_is_one_of_three(chat: Chat) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.worker.call("keep_cached", CACHE, [{"key": "abcd", "value": 1}])
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.admin.execute("insert into engine.cache_limits values ('pages', 1, 1, 1)")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.worker.call("lead_cached", "pages", key("a"), "w1", 60)


async def test_lookups_in_a_cache_that_there_is_not_are_refused(chat: Chat) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.worker.call("find_cached", "pages", [key("a")])
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await chat.admin.execute(
            "insert into engine.cache_entries (cache, key, bytes, expires_at)"
            " values ('pages', sha256('a'), 0, now())"
        )
