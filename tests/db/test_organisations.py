"""Sessions of an organisation: who belongs to it, who reads and writes, and what leaving means."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.identities import Identity, user

_SEEN = "select count(*) from public.{} where {} = $1"
STARTER = user("user_2eve", org_id="org_1", org_role="org:member")
MEMBER = user("user_2mallory", o={"id": "org_1", "rol": "member"})
ADMIN = user("user_2zoe", o={"id": "org_1", "rol": "admin"})
OLD_ADMIN = user("user_2zoe", org_id="org_1", org_role="org:admin")
ELSEWHERE = user("user_2sam", org_id="org_2", org_role="org:admin")
NOBODY = user("user_2sam")
# What its starter's token says once another organisation is active there, or none.
MOVED = user("user_2eve", org_id="org_2", org_role="org:admin")
LEFT = user("user_2eve")

INSIDE = {"starter": STARTER, "member": MEMBER, "admin": ADMIN, "admin by version 1": OLD_ADMIN}
OUTSIDE = {
    "elsewhere": ELSEWHERE,
    "nobody": NOBODY,
    "starter elsewhere": MOVED,
    "starter out": LEFT,
}
MANAGERS = {name: who for name, who in INSIDE.items() if name != "member"}


class Shared:
    """An organisation's session with a message of its starter and the reply."""

    def __init__(self, chat: Chat, session: UUID, message: UUID, run: UUID) -> None:
        self.chat = chat
        self.session = session
        self.message = message
        self.run = run

    def browser(self, who: Identity) -> Browser:
        """Return somebody's browser."""
        return self.chat.browser(who)

    async def reply(self) -> Any:
        """Return the row of the reply."""
        return await self.chat.outcome(self.run)


async def _shared(chat: Chat) -> Shared:
    starter = chat.browser(STARTER)
    session = await starter.start_session()
    message = await starter.say(session, "A dragon")
    await chat.worker.finish(await chat.worker.claim_one())
    return Shared(chat, session, message, (await chat.run_of(message))["id"])


async def test_a_session_belongs_to_the_organisation_that_is_active_when_it_starts(
    chat: Chat,
) -> None:
    tenants = {}
    for name, who in {"organisation": STARTER, "by version 2": MEMBER, "user": LEFT}.items():
        row = await chat.browser(who).insert("chat_sessions", title="T")
        tenants[name] = (row["user_id"], row["org_id"], row["tenant_id"])

    assert tenants == {
        "organisation": ("user_2eve", "org_1", "org_1"),
        "by version 2": ("user_2mallory", "org_1", "org_1"),
        "user": ("user_2eve", None, "user_2eve"),
    }


@pytest.mark.parametrize("who", INSIDE.values(), ids=INSIDE)
async def test_each_member_sees_its_session_messages_runs_and_stream(
    chat: Chat, who: Identity
) -> None:
    it = await _shared(chat)
    browser = it.browser(who)

    assert await browser.value(_SEEN.format("chat_sessions", "id"), it.session) == 1
    assert await browser.value(_SEEN.format("messages", "session_id"), it.session) == 2
    assert await browser.value(_SEEN.format("runs", "session_id"), it.session) == 1
    assert await browser.read_stream(it.session) is not None
    assert await browser.search("dragon") == [it.message]


@pytest.mark.parametrize("who", OUTSIDE.values(), ids=OUTSIDE)
async def test_nobody_else_sees_anything_of_it(chat: Chat, who: Identity) -> None:
    it = await _shared(chat)
    browser = it.browser(who)

    assert await browser.value(_SEEN.format("chat_sessions", "id"), it.session) == 0
    assert await browser.value(_SEEN.format("messages", "session_id"), it.session) == 0
    assert await browser.value(_SEEN.format("runs", "session_id"), it.session) == 0
    assert await browser.read_stream(it.session) is None
    assert await browser.search("dragon") == []


async def test_an_active_organisation_hides_what_is_personal(chat: Chat) -> None:
    personal = chat.browser(LEFT)
    session = await personal.start_session()
    message = await personal.say(session, "A dragon")

    for who in (STARTER, MOVED):
        browser = chat.browser(who)
        assert await browser.value(_SEEN.format("chat_sessions", "id"), session) == 0
        assert await browser.search("dragon") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="session not found"):
            await browser.say(session)
    assert await personal.search("dragon") == [message]


@pytest.mark.parametrize("who", INSIDE.values(), ids=INSIDE)
async def test_each_member_writes_as_itself_and_is_answered(chat: Chat, who: Identity) -> None:
    it = await _shared(chat)

    message = await it.browser(who).say(it.session, "And I?")

    row, run = await chat.message(message), await chat.run_of(message)
    assert (row["author_id"], row["user_id"], row["org_id"]) == (who.sub, "user_2eve", "org_1")
    assert (run["requester_id"], run["user_id"], run["org_id"]) == (who.sub, "user_2eve", "org_1")
    claim = await chat.worker.claim_one()
    await chat.worker.finish(claim)
    outcome = await chat.outcome(run["id"])
    assert (outcome["author_id"], outcome["user_id"]) == (None, "user_2eve")
    assert await chat.path(it.session) == ["A dragon", "Well met", "And I?", "Well met"]


_ACTS: dict[str, Callable[[Shared, Browser], Awaitable[Any]]] = {
    "write": lambda it, browser: browser.say(it.session),
    "regenerate": lambda it, browser: browser.regenerate(it.message),
    "cancel": lambda it, browser: browser.cancel(it.run),
    "share": lambda it, browser: browser.fetch("select public.share_session($1)", it.session),
}


@pytest.mark.parametrize("who", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("act", _ACTS)
async def test_who_is_outside_is_refused_as_for_a_session_that_is_not_there(
    chat: Chat, who: Identity, act: str
) -> None:
    it = await _shared(chat)
    missing = Shared(chat, uuid4(), uuid4(), uuid4())

    refusals = []
    for target in (it, missing):
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await _ACTS[act](target, it.browser(who))
        refusals.append((refused.value.sqlstate, str(refused.value), refused.value.hint))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("who", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize(
    "sql",
    [
        "update public.chat_sessions set title = 'Mine'",
        "update public.messages set metadata = '{}'",
        "delete from public.messages",
        "delete from public.chat_sessions",
    ],
)
async def test_who_is_outside_changes_nothing_of_it(chat: Chat, who: Identity, sql: str) -> None:
    it = await _shared(chat)

    assert await it.browser(who).change(sql) == 0


@pytest.mark.parametrize("who", INSIDE.values(), ids=INSIDE)
async def test_each_member_cancels_and_answers_again(chat: Chat, who: Identity) -> None:
    it = await _shared(chat)
    browser = it.browser(who)

    again = await browser.regenerate(it.message)
    assert (await chat.run(again))["requester_id"] == who.sub
    await browser.cancel(again)

    assert (await chat.run(again))["status"] == "cancelled"


async def test_each_member_gives_the_outputs_of_tools(chat: Chat) -> None:
    starter = chat.browser(STARTER)
    await starter.say(await starter.start_session())
    claim = await chat.worker.claim_one()
    await chat.worker.park(claim, "call_1")

    await chat.browser(MEMBER).submit(claim["run_id"], [{"call_id": "call_1", "output": 1}])

    assert (await chat.run(claim["run_id"]))["status"] == "ready"


async def test_each_member_names_a_session_and_only_managers_archive_it(chat: Chat) -> None:
    it = await _shared(chat)
    archive = "update public.chat_sessions set status = $1"

    assert await it.browser(MEMBER).change("update public.chat_sessions set title = 'Ours'") == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await it.browser(MEMBER).change(archive, "archived")
    for who in MANAGERS.values():
        assert await it.browser(who).change(archive, "archived") == 1
        assert await it.browser(MEMBER).change(archive, "active") == 0
        assert await it.browser(MEMBER).change("update public.chat_sessions set title = 'No'") == 0
        with pytest.raises(asyncpg.PostgresError, match="archived"):
            await it.browser(MEMBER).say(it.session)
        assert await it.browser(who).change(archive, "active") == 1
    assert (await chat.session(it.session))["title"] == "Ours"


@pytest.mark.parametrize("who", INSIDE.values(), ids=INSIDE)
async def test_only_who_started_a_session_and_admins_delete_it(chat: Chat, who: Identity) -> None:
    it = await _shared(chat)

    deleted = await it.browser(who).delete("chat_sessions", it.session)

    assert deleted == (who in MANAGERS.values())
    assert (await chat.session(it.session) is None) == (who in MANAGERS.values())


@pytest.mark.parametrize("who", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("of", ["starter", "member", "reply"])
async def test_a_message_is_deleted_by_its_author_and_by_managers(
    chat: Chat, who: Identity, of: str
) -> None:
    it = await _shared(chat)
    own = await it.browser(MEMBER).say(it.session, "Mine")
    row = {"starter": it.message, "member": own, "reply": (await it.reply())["id"]}[of]

    deleted = await it.browser(who).delete("messages", row)

    assert deleted == (who in MANAGERS.values() or of == "member")


async def test_words_are_changed_by_their_author_alone(chat: Chat) -> None:
    it = await _shared(chat)
    change = "update public.messages set content = to_jsonb('Changed'::text) where id = $1"

    for who in (MEMBER, ADMIN):
        assert await it.browser(who).change(change, it.message) == 0
    assert await it.browser(STARTER).change(change, it.message) == 1


async def test_metadata_of_a_reply_is_anybodys_and_of_a_message_its_authors(chat: Chat) -> None:
    it = await _shared(chat)
    change = "update public.messages set metadata = '{\"liked\": true}' where id = $1"

    assert await it.browser(MEMBER).change(change, (await it.reply())["id"]) == 1
    assert await it.browser(MEMBER).change(change, it.message) == 0


async def test_nobody_chooses_tenant_author_or_requester(chat: Chat) -> None:
    it = await _shared(chat)
    starter = it.browser(STARTER)

    for table, column in (
        ("chat_sessions", "org_id"),
        ("chat_sessions", "user_id"),
        ("messages", "org_id"),
        ("messages", "author_id"),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await starter.change(f"update public.{table} set {column} = 'org_2'")


async def test_an_organisation_and_a_user_of_one_name_are_two(chat: Chat) -> None:
    it = await _shared(chat)
    personal = chat.browser(LEFT)
    await personal.start_session()

    # Neither counts: ids of the other kind.
    for who in (user("org_1"), user("user_2sam", org_id="user_2eve")):
        browser = chat.browser(who)
        assert await browser.value("select count(*) from public.chat_sessions") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await browser.start_session()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await browser.say(it.session)


_CONFUSED = {
    "two organisations": {"org_id": "org_1", "o": {"id": "org_2"}},
    "one without an id": {"org_id": "org_1", "o": {}},
    "a text": {"o": "org_1"},
    "a list": {"org_id": "org_1", "o": ["org_1"]},
    "a number": {"org_id": 1},
    "a user that is a number": {"sub": 1, "org_id": "org_1"},
    "a user that is a list": {"sub": ["user_2eve"], "org_id": "org_1"},
}


@pytest.mark.parametrize("claims", _CONFUSED.values(), ids=_CONFUSED)
async def test_a_token_that_is_unclear_about_its_organisation_does_not_count(
    chat: Chat, claims: dict[str, Any]
) -> None:
    await _shared(chat)
    browser = chat.browser(user(**{"sub": "user_2eve", **claims}))

    assert await browser.value("select count(*) from public.chat_sessions") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await browser.start_session()


_ROLES = {
    "version 1": ({"org_id": "org_1", "org_role": "org:admin"}, True),
    "version 2": ({"o": {"id": "org_1", "rol": "admin"}}, True),
    "both": ({"org_id": "org_1", "o": {"id": "org_1", "rol": "admin"}}, True),
    "version 2 outranks version 1": (
        {"org_id": "org_1", "org_role": "org:admin", "o": {"id": "org_1", "rol": "member"}},
        False,
    ),
    "a role of one's own": ({"o": {"id": "org_1", "rol": "administrator"}}, False),
    "no role": ({"o": {"id": "org_1"}}, False),
    "of no organisation": ({"org_role": "org:admin"}, False),
    "of another organisation": ({"o": {"id": "org_2", "rol": "admin"}}, False),
    "as a list": ({"o": {"id": "org_1", "rol": ["admin"]}}, False),
}


@pytest.mark.parametrize(("claims", "may"), _ROLES.values(), ids=_ROLES)
async def test_who_is_an_admin(chat: Chat, claims: dict[str, Any], may: bool) -> None:
    it = await _shared(chat)

    deleted = await it.browser(user("user_2zoe", **claims)).delete("chat_sessions", it.session)

    assert deleted == may


async def test_another_members_private_assistant_is_refused_before_it_answers_nobody(
    chat: Chat,
) -> None:
    it = await _shared(chat)
    member = it.browser(MEMBER)
    private = await member.insert("assistants", name="Private")
    shared = await member.insert("assistants", name="Shared", visibility="organisation")
    choose = "update public.chat_sessions set assistant_id = $1"

    with pytest.raises(asyncpg.CheckViolationError, match="only in its owner's sessions"):
        await member.change(choose, private["id"])
    assert await member.change(choose, shared["id"]) == 1
    await it.browser(STARTER).say(it.session)


async def test_a_private_assistant_answers_its_owner_alone(chat: Chat) -> None:
    starter = chat.browser(STARTER)
    private = (await starter.insert("assistants", name="Private"))["id"]
    session = await starter.start_session(assistant_id=private)

    await starter.say(session)
    for who in (MEMBER, ADMIN):
        with pytest.raises(asyncpg.PostgresError, match="no longer shared with you") as refused:
            await chat.browser(who).say(session)
        assert refused.value.sqlstate == "PT409"


async def test_an_assistant_is_shared_with_the_organisation_that_is_active_then(chat: Chat) -> None:
    personal, member = chat.browser(LEFT), chat.browser(STARTER)
    assistant = (await personal.insert("assistants", name="Mine"))["id"]
    share = "update public.assistants set visibility = 'organisation' where id = $1"

    with pytest.raises(asyncpg.CheckViolationError, match="no organisation is active"):
        await personal.change(share, assistant)
    with pytest.raises(asyncpg.CheckViolationError, match="no organisation is active"):
        await personal.insert("assistants", name="Mine", visibility="organisation")
    assert await member.change(share, assistant) == 1

    sees = "select org_id from public.shared_assistants where id = $1"
    assert await chat.browser(MEMBER).value(sees, assistant) == "org_1"
    assert await chat.browser(ELSEWHERE).value(sees, assistant) is None


@pytest.mark.parametrize("who", [LEFT, MOVED], ids=["out", "elsewhere"])
@pytest.mark.parametrize(
    "sql",
    [
        "update public.assistants set instructions = 'Lie.'",
        "update public.assistants set visibility = 'private'",
        "delete from public.assistants",
    ],
)
async def test_who_has_left_no_longer_instructs_the_organisations_assistant(
    chat: Chat, who: Identity, sql: str
) -> None:
    await chat.browser(STARTER).insert("assistants", name="Ours", visibility="organisation")

    assert await chat.browser(who).change(sql) == 0
    assert await chat.browser(STARTER).change(sql) == 1


async def test_a_member_who_asks_much_uses_places_of_its_own(chat: Chat) -> None:
    it = await _shared(chat)
    await chat.configure(user_open_runs=1)
    await it.browser(MEMBER).say(it.session)

    with pytest.raises(asyncpg.PostgresError, match="open runs"):
        await it.browser(MEMBER).say(it.session)
    await it.browser(STARTER).say(it.session)
