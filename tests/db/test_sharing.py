"""Sharing assistants: who sees and uses them, and that nobody reads another's instructions."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import DEMO_ASSISTANT, Chat
from tests.support.identities import user

_MEMBER = user("user_2eve", org_id="org_1")
_COLLEAGUE = user("user_2mallory", o={"id": "org_1"})
_STRANGER = user("user_2sam", org_id="org_2")

# who → may see and use Eve's assistant of that visibility
_REACH = {
    ("private", "owner"): True,
    ("private", "colleague"): False,
    ("private", "stranger"): False,
    ("private", "loner"): False,
    ("organisation", "owner"): True,
    ("organisation", "colleague"): True,
    ("organisation", "stranger"): False,
    ("organisation", "loner"): False,
    ("everyone", "owner"): True,
    ("everyone", "colleague"): True,
    ("everyone", "stranger"): True,
    ("everyone", "loner"): True,
}
_WHO = {
    "owner": _MEMBER,
    "colleague": _COLLEAGUE,
    "stranger": _STRANGER,
    "loner": user("user_2bob"),
}


@pytest.mark.parametrize(("visibility", "who"), _REACH)
async def test_who_may_use_an_assistant(chat: Chat, visibility: str, who: str) -> None:
    assistant = await _shared(chat, visibility)
    browser = chat.browser(_WHO[who])

    if _REACH[visibility, who]:
        await browser.start_session(assistant_id=assistant)
    else:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="assistant not found"):
            await browser.start_session(assistant_id=assistant)


@pytest.mark.parametrize(("visibility", "who"), _REACH)
async def test_who_sees_an_assistant_among_the_shared_ones(
    chat: Chat, visibility: str, who: str
) -> None:
    assistant = await _shared(chat, visibility)

    seen = await chat.browser(_WHO[who]).fetch("select id from public.shared_assistants")

    expected = _REACH[visibility, who] and visibility != "private"
    assert (assistant in {row["id"] for row in seen}) == expected


async def test_instructions_of_a_shared_assistant_are_read_by_its_owner_only(chat: Chat) -> None:
    assistant = await _shared(chat, "everyone")

    rows = await chat.bob.fetch("select * from public.shared_assistants where id = $1", assistant)
    own = await chat.bob.fetch("select * from public.assistants where id = $1", assistant)

    assert [sorted(row.keys()) for row in rows] == [
        ["description", "id", "model", "name", "org_id", "visibility"]
    ]
    assert own == []


async def test_the_operators_assistant_is_used_by_everyone_and_read_by_nobody(chat: Chat) -> None:
    seen = await chat.bob.fetch("select id from public.shared_assistants")

    assert [row["id"] for row in seen] == [DEMO_ASSISTANT]
    assert await chat.bob.fetch("select id from public.assistants") == []
    await chat.bob.start_session(assistant_id=DEMO_ASSISTANT)


async def test_what_others_see_follows_each_change(chat: Chat) -> None:
    assistant = await _shared(chat, "everyone")
    owner = chat.browser(_MEMBER)
    sees = "select name from public.shared_assistants where id = $1"

    await owner.change("update public.assistants set name = 'Renamed' where id = $1", assistant)
    assert await chat.bob.value(sees, assistant) == "Renamed"
    await owner.change("update public.assistants set visibility = 'private'")
    assert await chat.bob.value(sees, assistant) is None
    await owner.change("update public.assistants set visibility = 'everyone'")
    assert await chat.bob.value(sees, assistant) == "Renamed"
    await owner.delete("assistants", assistant)
    assert await chat.bob.value(sees, assistant) is None


@pytest.mark.parametrize("claims", [{}, {"org_id": None}, {"org_id": ""}, {"o": {}}])
async def test_without_an_active_organisation_there_is_none_to_share_with(
    chat: Chat, claims: dict[str, Any]
) -> None:
    await _shared(chat, "organisation")
    browser = chat.browser(user("user_2bob", **claims))

    seen = await browser.fetch(
        "select from public.shared_assistants where visibility = 'organisation'"
    )
    assert seen == []
    with pytest.raises(asyncpg.CheckViolationError, match="no organisation is active"):
        await browser.insert("assistants", name="Mine", visibility="organisation")


async def test_a_session_cannot_be_moved_to_an_assistant_that_one_may_not_use(chat: Chat) -> None:
    assistant = await _shared(chat, "private")
    await chat.bob.start_session()

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="assistant not found"):
        await chat.bob.change("update public.chat_sessions set assistant_id = $1", assistant)


async def test_an_assistant_that_is_no_longer_shared_answers_nobody_else(chat: Chat) -> None:
    assistant = await _shared(chat, "everyone")
    session = await chat.bob.start_session(assistant_id=assistant)
    await chat.browser(_MEMBER).change("update public.assistants set visibility = 'private'")

    await chat.bob.change("update public.chat_sessions set title = 'Still mine'")
    with pytest.raises(asyncpg.PostgresError, match="no longer shared") as refused:
        await chat.bob.say(session)

    assert refused.value.sqlstate == "PT409"


async def test_a_foreign_and_a_missing_assistant_look_alike(chat: Chat) -> None:
    foreign = await _shared(chat, "private")
    refusals: set[Any] = set()

    for assistant in (foreign, uuid4()):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await chat.bob.start_session(assistant_id=assistant)
        error = refused.value
        refusals.add((error.sqlstate, str(error), error.detail, error.hint))

    assert len(refusals) == 1


async def _shared(chat: Chat, visibility: str) -> UUID:
    row = await chat.browser(_MEMBER).insert(
        "assistants", name="Eve's", instructions="A secret.", visibility=visibility
    )
    return UUID(str(row["id"]))
