"""Who answers messages at the moment: workers say that they are there, and that they go."""

from typing import Any

import asyncpg
import pytest

from backend.integrations.supabase import bundle
from tests.support.chat import Chat
from tests.support.identities import ADA, ANONYMOUS, SERVICE, Identity


async def workers(chat: Chat, within_s: float = 10) -> int:
    """Return how many workers the probe counts."""
    found = await chat.worker.call("readiness", within_s)
    return int(found["workers"])


async def let_pass(chat: Chat, seconds: float, name: str) -> None:
    """The worker reported so much earlier than it did."""
    await chat.admin.execute(
        "update engine.workers set seen_at = seen_at - make_interval(secs => $1) where name = $2",
        seconds,
        name,
    )


@pytest.mark.parametrize("who", [ADA, ANONYMOUS, SERVICE], ids=lambda who: who.role)
@pytest.mark.parametrize(
    "call", ["report_worker('w')", "dismiss_worker('w')", "readiness(10)", "workers"]
)
async def test_nobody_but_the_service_sees_or_moves_a_worker(
    empty_chat: Chat, who: Identity, call: str
) -> None:
    wanted = f"select engine.{call}" if "(" in call else f"select from engine.{call}"

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await empty_chat.browser(who).fetch(wanted)


async def test_the_service_cannot_touch_the_table_itself(empty_chat: Chat) -> None:
    connection = await empty_chat.worker.line.open()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("select from engine.workers")


async def test_a_project_without_workers_counts_none(chat: Chat) -> None:
    assert await workers(chat) == 0


async def test_a_worker_that_reports_is_there_once_however_often_it_reports(chat: Chat) -> None:
    for name in ("w1", "w2", "w1", "w1"):
        await chat.worker.call("report_worker", name)

    assert await workers(chat) == 2


async def test_a_worker_that_falls_silent_is_not_there(chat: Chat) -> None:
    await chat.worker.call("report_worker", "w1")
    await chat.worker.call("report_worker", "w2")
    await let_pass(chat, 11, "w1")

    assert (await workers(chat, 10), await workers(chat, 60)) == (1, 2)


async def test_a_worker_that_reports_again_is_back(chat: Chat) -> None:
    await chat.worker.call("report_worker", "w1")
    await let_pass(chat, 1000, "w1")

    await chat.worker.call("report_worker", "w1")

    assert await workers(chat) == 1


async def test_a_worker_that_says_goodbye_is_gone_and_a_stranger_changes_nothing(
    chat: Chat,
) -> None:
    for name in ("w1", "stays"):
        await chat.worker.call("report_worker", name)

    for name in ("w1", "w1", "stranger"):
        await chat.worker.call("dismiss_worker", name)

    assert await workers(chat) == 1


async def test_the_start_of_a_worker_is_kept_while_it_reports(chat: Chat) -> None:
    await chat.worker.call("report_worker", "w1")
    started = await chat.admin.fetchrow("select started_at, seen_at from engine.workers")

    await chat.worker.call("report_worker", "w1")

    again = await chat.admin.fetchrow("select started_at, seen_at from engine.workers")
    assert again["started_at"] == started["started_at"]
    assert again["seen_at"] > started["seen_at"]


async def test_a_newcomer_clears_away_at_most_a_hundred_workers_silent_for_a_day(
    chat: Chat,
) -> None:
    await chat.admin.execute(
        "insert into engine.workers (name, seen_at)"
        " select 'old_' || n, now() - interval '25 h' from generate_series(1, 150) n"
        " union all select 'young', now() - interval '23 h'"
    )

    await chat.worker.call("report_worker", "w1")
    assert await chat.admin.fetchval("select count(*) from engine.workers") == 52

    await chat.worker.call("report_worker", "w1")
    assert await chat.admin.fetchval("select count(*) from engine.workers") == 52

    await chat.worker.call("report_worker", "w2")
    names = await chat.admin.fetch("select name from engine.workers order by name")
    assert [row["name"] for row in names] == ["w1", "w2", "young"]


async def test_a_newcomer_does_not_wait_for_a_row_that_somebody_holds(chat: Chat) -> None:
    await chat.worker.call("report_worker", "held")
    await let_pass(chat, 100_000, "held")
    async with chat.admin.transaction():
        await chat.admin.execute("select from engine.workers for update")

        await chat.new_worker("w").call("report_worker", "w1")

    assert await workers(chat, 1e6) == 2


@pytest.mark.parametrize("name", ["", "w" * 201, None])
async def test_a_worker_without_a_sensible_name_is_refused(
    empty_chat: Chat, name: str | None
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await empty_chat.worker.call("report_worker", name)


async def test_reports_touch_no_index(chat: Chat) -> None:
    await chat.worker.call("report_worker", "w1")
    for _ in range(20):
        await chat.worker.call("report_worker", "w1")

    worker = await chat.worker.line.open()
    await worker.execute("select pg_stat_force_next_flush()")
    await chat.worker.call("readiness", 1)
    counted: Any = await chat.admin.fetchrow(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'workers'"
    )
    assert counted["n_tup_upd"] == counted["n_tup_hot_upd"] == 20


async def test_the_probe_learns_the_versions_of_the_schema(chat: Chat) -> None:
    versions = [step.version for step in bundle.migrations()]

    assert await chat.worker.call("readiness", 10) == {
        "schema_version": versions[-1],
        "schema_versions": versions,
        "token_issuer": None,
        "pinned_issuer": None,
        "workers": 0,
    }


async def test_the_probe_answers_where_no_migration_was_recorded(chat: Chat) -> None:
    await chat.admin.execute("drop schema supabase_migrations cascade")

    assert await chat.worker.call("readiness", 10) == {
        "schema_version": None,
        "schema_versions": [],
        "token_issuer": None,
        "pinned_issuer": None,
        "workers": 0,
    }
