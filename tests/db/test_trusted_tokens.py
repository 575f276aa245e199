"""Which tokens count: of the operator's issuer, and of users who have finished signing in."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, Identity, assume, user

ISSUER = "https://clerk.example.com"
OURS = user(ADA.sub, iss=ISSUER)
OTHERS = {
    "another issuer": user(ADA.sub, iss="https://clerk.example.org"),
    "a longer one": user(ADA.sub, iss=f"{ISSUER}.evil.example"),
    "with a slash": user(ADA.sub, iss=f"{ISSUER}/"),
    "Supabase Auth": user(ADA.sub, iss="https://abc.supabase.co/auth/v1"),
    "none": ADA,
    "null": user(ADA.sub, iss=None),
    "a list": user(ADA.sub, iss=[ISSUER]),
    "pending": user(ADA.sub, iss=ISSUER, sts="pending"),
    "no such state": user(ADA.sub, iss=ISSUER, sts=""),
}
_CALLS = {
    "select from public.cancel_run($1)": "run",
    "select from public.regenerate($1)": "message",
    "select from public.submit_tool_outputs($1, '[]')": "run",
    "insert into public.messages (session_id, content) values ($1, '\"Hi\"')": "session",
}


@pytest.fixture(params=list(OTHERS.values()), ids=list(OTHERS))
def stranger(request: pytest.FixtureRequest) -> Identity:
    """Return Ada, by a token that does not count."""
    found: Identity = request.param
    return found


async def _settled(chat: Chat) -> dict[str, UUID]:
    """Return the ids of a conversation of Ada's, with everything that a table can hold."""
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "hello")
    await chat.worker.finish(await chat.worker.claim_one())
    await chat.ada.insert("assistants", name="mine", visibility="everyone")
    await chat.configure(token_issuer=ISSUER)
    run = (await chat.runs(session))[0]["id"]
    return {"session": session, "message": message, "run": run}


async def _visible(chat: Chat, who: Identity) -> dict[str, int]:
    tables = ("chat_sessions", "messages", "assistants", "shared_assistants", "runs")
    browser = chat.browser(who)
    return {it: await browser.value(f"select count(*) from public.{it}") for it in tables}


async def test_a_token_that_does_not_count_sees_nothing(chat: Chat, stranger: Identity) -> None:
    ids = await _settled(chat)
    assert set((await _visible(chat, stranger)).values()) == {0}
    browser = chat.browser(stranger)
    assert await browser.read_stream(ids["session"]) is None
    assert await browser.search("hello") == []


async def test_a_token_that_does_not_count_changes_nothing(chat: Chat, stranger: Identity) -> None:
    await _settled(chat)
    browser = chat.browser(stranger)
    for table in ("chat_sessions", "messages", "assistants"):
        assert await browser.change(f"update public.{table} set metadata = '{{}}'") == 0
        assert await browser.change(f"delete from public.{table}") == 0
    for table, values in (("chat_sessions", "(title)"), ("assistants", "(name)")):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await browser.change(f"insert into public.{table} {values} values ('x')")


@pytest.mark.parametrize(
    ("sql", "what"), _CALLS.items(), ids=[it.split("public.")[1].split("(")[0] for it in _CALLS]
)
async def test_a_token_that_does_not_count_is_refused_as_a_stranger_is(
    chat: Chat, stranger: Identity, sql: str, what: str
) -> None:
    ids = await _settled(chat)
    said = []
    for who in (stranger, user("user_2nobody", iss=ISSUER)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await chat.browser(who).change(sql, ids[what])
        said.append(str(refused.value))
    assert said[0] == said[1]


async def test_a_token_of_the_issuer_counts(chat: Chat) -> None:
    ids = await _settled(chat)
    for who in (OURS, user(ADA.sub, iss=ISSUER, sts="active")):
        assert 0 not in (await _visible(chat, who)).values()
        await chat.browser(who).say(ids["session"], "again")
        assert await chat.browser(who).read_stream(ids["session"]) is not None


async def test_without_a_pin_any_issuer_counts_and_a_pending_user_does_not(chat: Chat) -> None:
    await _settled(chat)
    await chat.configure(token_issuer=None)
    assert 0 not in (await _visible(chat, ADA)).values()
    assert set((await _visible(chat, user(ADA.sub, sts="pending"))).values()) == {0}


@pytest.mark.parametrize(
    "issuer", ["clerk.example.com", f"{ISSUER}/", f"{ISSUER}/x", "", "https://"]
)
async def test_what_no_token_has_as_its_issuer_cannot_be_pinned(chat: Chat, issuer: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await chat.configure(token_issuer=issuer)


async def test_another_pin_holds_at_once_where_plans_are_kept(chat: Chat) -> None:
    connection: Any = await chat.line("authenticator", plan_cache_mode="force_generic_plan").open()
    await chat.ada.start_session()
    count = await connection.prepare("select count(*) from public.chat_sessions")

    async def seen() -> int:
        async with connection.transaction():
            await assume(connection, OURS)
            return int(await count.fetchval())

    for issuer, expected in ((ISSUER, 1), ("https://other.example.com", 0), (None, 1)):
        await chat.configure(token_issuer=issuer)
        assert await seen() == expected


async def test_a_pin_outlives_a_restore_that_switches_triggers_off(chat: Chat) -> None:
    await chat.admin.execute("set session_replication_role = replica")
    await chat.configure(token_issuer=ISSUER)

    assert await chat.admin.fetchval("select issuer from engine.pinned_issuer") == ISSUER


async def test_pinning_does_not_wait_long_for_who_reads_and_changes_nothing_then(
    chat: Chat,
) -> None:
    await chat.admin.execute("alter function engine.pin_issuer() set lock_timeout = '50ms'")
    reader = await chat.line("authenticator").open()
    async with reader.transaction():
        await assume(reader, OURS)
        await reader.fetch("select from public.chat_sessions")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await chat.configure(token_issuer=ISSUER)
        # What is pinned already waits for nobody.
        await chat.configure(token_issuer=None)

    assert await chat.admin.fetchval("select token_issuer from engine.settings") is None
    assert await chat.admin.fetchval("select issuer from engine.pinned_issuer") is None
