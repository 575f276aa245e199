"""What runs once a minute, and what nothing should leave behind."""

import asyncpg
import pytest

from tests.support.chat import SEED, Chat


async def test_a_session_that_was_left_waiting_goes_on(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.ada.say(claim["session_id"], "M2")
    await chat.admin.execute(
        "update engine.runs set status = 'failed', lease_until = null, ended_at = now()"
        " where id = $1::text::uuid",
        claim["run_id"],
    )

    assert (await chat.worker.call("purge", 100))["promoted"] == 1

    assert await chat.statuses(claim["session_id"]) == ["failed", "ready"]


async def test_sessions_in_order_are_left_alone(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.ada.say(claim["session_id"], "M2")

    counts = await chat.worker.call("purge", 100)
    assert (counts["events"], counts["promoted"]) == (0, 0)

    assert await chat.statuses(claim["session_id"]) == ["running", "waiting"]


async def test_the_purge_waits_for_no_session(chat: Chat) -> None:
    claim = await chat.claimed("M1")
    await chat.ada.say(claim["session_id"], "M2")
    async with chat.ada.transaction() as connection:
        await connection.execute(
            "insert into public.messages (session_id, content) values ($1, $2)",
            claim["session_id"],
            "M3",
        )

        assert (await chat.worker.call("purge", 100))["promoted"] == 0


async def test_the_schema_names_its_newest_migration(chat: Chat) -> None:
    newest = await chat.admin.fetchval(
        "select max(version) from supabase_migrations.schema_migrations"
    )

    assert newest.startswith("20")
    assert await chat.worker.call("schema_version") == newest


async def test_without_a_history_the_schema_has_no_version(chat: Chat) -> None:
    await chat.admin.execute("drop schema supabase_migrations cascade")

    assert await chat.worker.call("schema_version") is None


async def test_the_seed_can_be_planted_twice(chat: Chat) -> None:
    await chat.admin.execute(SEED.read_text(encoding="utf-8"))

    assert await chat.admin.fetchval("select count(*) from assistants") == 1


@pytest.mark.parametrize(
    "setting",
    [
        {"run_ttl_s": 0},
        {"max_failures": 0},
        {"backoff_s": -1},
        {"backoff_limit_s": 3601},
        {"event_ttl_s": 0},
    ],
    ids=lambda setting: next(iter(setting)),
)
async def test_a_setting_out_of_its_bounds_is_refused(
    chat: Chat, setting: dict[str, float]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.configure(**setting)


async def test_there_is_one_row_of_settings(chat: Chat) -> None:
    for value in ("true", "false"):
        with pytest.raises((asyncpg.UniqueViolationError, asyncpg.CheckViolationError)):
            await chat.admin.execute(f"insert into engine.settings (id) values ({value})")
