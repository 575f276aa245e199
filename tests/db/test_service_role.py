"""The backend's key: sees everything, writes what it was granted, and acts as nobody."""

from uuid import UUID

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, SERVICE, user
from tests.support.worker import text


async def test_it_sees_the_rows_of_all_users(chat: Chat) -> None:
    for browser in (chat.ada, chat.bob):
        await browser.say(await browser.start_session())
    service = chat.browser(SERVICE)

    for table in ("chat_sessions", "messages", "runs"):
        rows = await service.fetch(f"select distinct user_id from public.{table}")
        assert len(rows) == 2, table


async def test_it_starts_a_session_for_a_user(chat: Chat) -> None:
    service = chat.browser(SERVICE)

    own = await service.insert("chat_sessions", title="For you", user_id=ADA.sub)
    ours = await service.insert("chat_sessions", title="For all", user_id=ADA.sub, org_id="org_1")

    member = chat.browser(user("user_2bob", org_id="org_1"))
    for browser, row in ((chat.ada, own), (member, ours)):
        seen = await browser.fetch("select id from public.chat_sessions")
        assert [it["id"] for it in seen] == [row["id"]]


@pytest.mark.parametrize(
    "columns", [{"user_id": "org_1"}, {"user_id": "user_1", "org_id": "user_2"}]
)
async def test_organisations_and_users_have_ids_of_their_own_kind(
    chat: Chat, columns: dict[str, str]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=r"chat_sessions_(user|org)_id_check"):
        await chat.browser(SERVICE).insert("chat_sessions", title="x", **columns)


async def test_a_session_belongs_to_somebody(chat: Chat) -> None:
    with pytest.raises(asyncpg.NotNullViolationError):
        await chat.browser(SERVICE).start_session()


async def test_it_writes_for_the_assistant(chat: Chat) -> None:
    session = await chat.ada.start_session()

    reply = await chat.browser(SERVICE).insert(
        "messages", session_id=session, role="assistant", content=text("Hi"), starts_run=False
    )

    assert (reply["role"], reply["user_id"], reply["run_id"]) == ("assistant", ADA.sub, None)


async def test_a_users_message_that_it_writes_is_answered_unless_it_says_otherwise(
    chat: Chat,
) -> None:
    session = await chat.ada.start_session()
    service = chat.browser(SERVICE)

    await service.say(session, "imported", starts_run=False)
    assert await chat.statuses(session) == []
    await service.say(session, "scheduled")

    assert await chat.statuses(session) == ["ready"]


async def test_a_session_that_is_missing_is_refused(chat: Chat) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await chat.browser(SERVICE).say(UUID(int=1))

    assert refused.value.sqlstate == "42501"


async def test_it_deletes_a_users_rows(chat: Chat) -> None:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session)
    service = chat.browser(SERVICE)

    assert await service.delete("messages", message) == 1
    assert await service.delete("chat_sessions", session) == 1


async def test_its_deletion_may_span_sessions(chat: Chat) -> None:
    for _ in range(2):
        await chat.ada.say(await chat.ada.start_session())

    assert await chat.browser(SERVICE).change("delete from public.messages") == 2


async def test_a_token_passed_along_makes_it_that_user_no_more_than_before(chat: Chat) -> None:
    await chat.bob.start_session()
    both = chat.browser(type(SERVICE)("authenticated", {"sub": ADA.sub, "role": "service_role"}))

    assert await both.fetch("select from public.chat_sessions") == []
