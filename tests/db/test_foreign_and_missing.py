"""What is somebody else's and what does not exist are refused in the same words."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import NO_SUB, Identity
from tests.support.races import session_held

_INSERT = "insert into public.messages (session_id, content) values ($1, '\"x\"')"
_BRANCH = "insert into public.messages (session_id, content, parent_id) values ($2, '\"x\"', $1)"
_OPERATIONS = {
    "write to a session": ("session", _INSERT),
    "follow a message": ("message", _BRANCH),
    "cancel a run": ("run", "select from public.cancel_run($1)"),
    "answer a message again": ("message", "select from public.regenerate($1)"),
    "answer a reply again": ("reply", "select from public.regenerate($1)"),
    "submit outputs": ("run", "select from public.submit_tool_outputs($1, '[]')"),
    "use an assistant": (
        "assistant",
        "insert into public.chat_sessions (title, assistant_id) values ('x', $1)",
    ),
    "move to an assistant": (
        "assistant",
        "update public.chat_sessions set assistant_id = $1 where id = $2",
    ),
}
_QUIET = {
    "read a session": ("session", "select from public.chat_sessions where id = $1"),
    "read its messages": ("session", "select from public.messages where session_id = $1"),
    "read its runs": ("session", "select from public.runs where session_id = $1"),
    "search it": ("session", "select from public.search_messages('dragon', $1)"),
    "rename a session": (
        "session",
        "update public.chat_sessions set title = 'x' where id = $1 returning 1",
    ),
    "change a message": (
        "message",
        "update public.messages set content = '\"x\"' where id = $1 returning 1",
    ),
    "delete a session": ("session", "delete from public.chat_sessions where id = $1 returning 1"),
    "delete a message": ("message", "delete from public.messages where id = $1 returning 1"),
    "delete an assistant": ("assistant", "delete from public.assistants where id = $1 returning 1"),
}


class Belongings:
    """What Bob owns, and the session of Ada's from which she reaches for it."""

    def __init__(self, own: UUID, things: dict[str, UUID]) -> None:
        self.own = own
        self.things = things


async def _settle(chat: Chat) -> Belongings:
    own = await chat.ada.start_session()
    assistant = (await chat.bob.insert("assistants", name="Bob's"))["id"]
    session = await chat.bob.start_session(assistant_id=assistant)
    message = await chat.bob.say(session, "dragon")
    claim = await chat.worker.claim_one()
    reply = await chat.worker.say(claim, "dragon")
    await chat.worker.park(claim, "a")
    return Belongings(
        own,
        {
            "session": session,
            "message": message,
            "reply": reply,
            "run": UUID(claim["run_id"]),
            "assistant": assistant,
        },
    )


@pytest.mark.parametrize("operation", _OPERATIONS)
async def test_refusals_do_not_tell_foreign_from_missing(empty_chat: Chat, operation: str) -> None:
    belongings = await _settle(empty_chat)
    thing, sql = _OPERATIONS[operation]

    foreign = await _refusal(empty_chat, sql, belongings.things[thing], belongings.own)
    missing = await _refusal(empty_chat, sql, uuid4(), belongings.own)

    assert foreign == missing
    assert foreign["sqlstate"] in {"42501", "23503"}


@pytest.mark.parametrize("operation", _QUIET)
async def test_what_is_not_yours_is_simply_not_there(empty_chat: Chat, operation: str) -> None:
    belongings = await _settle(empty_chat)
    thing, sql = _QUIET[operation]

    assert await empty_chat.ada.fetch(sql, belongings.things[thing]) == []
    assert await empty_chat.ada.fetch(sql, uuid4()) == []
    assert await empty_chat.message(belongings.things["message"]) is not None


@pytest.mark.parametrize("operation", _OPERATIONS)
async def test_the_same_operations_of_their_owner_are_not_refused(
    empty_chat: Chat, operation: str
) -> None:
    belongings = await _settle(empty_chat)
    thing, sql = _OPERATIONS[operation]
    values = (belongings.things[thing], belongings.things["session"])
    state = None

    try:
        await empty_chat.bob.fetch(sql, *values[: 1 + ("$2" in sql)])
    except asyncpg.PostgresError as error:
        state = error.sqlstate

    assert state not in {"42501", "23503"}


@pytest.mark.parametrize("operation", list(_OPERATIONS)[:-1])
async def test_a_caller_without_an_id_is_refused_in_the_same_words(
    empty_chat: Chat, operation: str
) -> None:
    belongings = await _settle(empty_chat)
    thing, sql = _OPERATIONS[operation]

    known = await _refusal(empty_chat, sql, belongings.things[thing], belongings.own, who=NO_SUB)
    unknown = await _refusal(empty_chat, sql, uuid4(), belongings.own, who=NO_SUB)

    assert known == unknown


@pytest.mark.parametrize("operation", ["write to a session", "cancel a run", "submit outputs"])
async def test_a_refusal_does_not_wait_for_the_session_of_somebody_else(
    empty_chat: Chat, operation: str
) -> None:
    belongings = await _settle(empty_chat)
    thing, sql = _OPERATIONS[operation]

    async with session_held(empty_chat, belongings.things["session"]):
        refusal = await _refusal(empty_chat, sql, belongings.things[thing], belongings.own)

    assert refusal["sqlstate"] == "42501"


async def _refusal(
    chat: Chat, sql: str, thing: UUID, own: UUID, *, who: Identity | None = None
) -> dict[str, Any]:
    browser = chat.ada if who is None else chat.browser(who)
    values = (thing, own)[: 1 + ("$2" in sql)]
    with pytest.raises(asyncpg.PostgresError) as refused:
        await browser.fetch(sql, *values)
    error = refused.value
    names = ("sqlstate", "message", "detail", "hint", "table_name", "constraint_name", "context")
    return {name: getattr(error, name, None) for name in names}
