"""Links that show one session, read-only, to whoever has them, until they are revoked."""

import datetime as dt
import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.db.test_organisations import ADMIN, ELSEWHERE, LEFT, MEMBER, STARTER
from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.identities import ADA, ANONYMOUS, BOB, NO_SUB, Identity, user

_SHARE = "select * from public.share_session($1)"
_READ = "select public.read_shared_session($1, $2, $3)"
_LINKS = "select count(*) from public.session_shares"


async def share(browser: Browser, session: UUID) -> Any:
    """Return the link's id and token, and when it expires."""
    return (await browser.fetch(_SHARE, session))[0]


async def read(browser: Browser, token: str | None, after: int = 0, limit: int = 100) -> Any:
    """Return what the link shows."""
    return await browser.value(_READ, token, after, limit)


async def _talk(chat: Chat, *questions: str, browser: Browser | None = None) -> UUID:
    talker = browser or chat.ada
    session = await talker.start_session("Dragons")
    for question in questions:
        await talker.say(session, question)
        await chat.worker.finish(await chat.worker.claim_one())
    return session


@pytest.mark.parametrize("reader", [ANONYMOUS, NO_SUB, BOB, ADA, ELSEWHERE])
async def test_whoever_has_the_link_reads_title_and_words(chat: Chat, reader: Identity) -> None:
    link = await share(chat.ada, await _talk(chat, "A dragon?"))

    shown = await read(chat.browser(reader), link["token"])

    for message in shown["messages"]:
        dt.datetime.fromisoformat(message.pop("created_at"))
    assert shown == {
        "title": "Dragons",
        "messages": [
            {
                "number": 1,
                "role": "user",
                "status": "completed",
                "content": [{"type": "text", "text": "A dragon?"}],
            },
            {
                "number": 2,
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "text", "text": "Well met"}],
            },
        ],
        "more": False,
    }


async def test_nothing_but_texts_and_citations_is_shown(chat: Chat) -> None:
    session = await chat.ada.start_session("Dragons", metadata={"secret": 1})
    image = {"type": "image", "url": "https://example.com/secret.png"}
    asked = [{"type": "text", "text": "Look", "name": "secret"}, image]
    await chat.ada.say(session, asked, metadata={"secret": 1}, client_id="secret")
    claim = await chat.worker.claim_one()
    said = [
        {"type": "reasoning", "text": "secret"},
        {"type": "citation", "text": "Source", "file_id": "secret"},
        {"type": "text", "text": "Seen"},
    ]
    await chat.worker.finish(claim, content=said)
    await chat.admin.execute(
        "update public.messages set content = content || $1::jsonb where run_id = $2",
        [
            {"type": "tool_call", "call_id": "c", "name": "secret", "arguments": {}},
            {"type": "tool_result", "call_id": "c", "output": "secret"},
        ],
        claim["run_id"],
    )
    link = await share(chat.ada, session)

    shown = await read(chat.browser(ANONYMOUS), link["token"])

    assert [part for it in shown["messages"] for part in it["content"]] == [
        {"type": "text", "text": "Look"},
        {"type": "citation", "text": "Source"},
        {"type": "text", "text": "Seen"},
    ]
    for hidden in (
        "secret",
        "user_2ada",
        str(session),
        str(claim["run_id"]),
        str(claim["message_id"]),
    ):
        assert hidden not in json.dumps(shown)


async def test_only_the_current_branch_is_shown_and_nothing_that_waits(chat: Chat) -> None:
    session = await _talk(chat, "Once?")
    (first, _) = await chat.messages(session)
    await chat.ada.regenerate(first["id"])
    await chat.worker.finish(await chat.worker.claim_one(), "Better")
    await chat.ada.say(session, "And then?")
    await chat.ada.say(session, "Waits")
    link = await share(chat.ada, session)

    shown = await read(chat.bob, link["token"])

    texts = [it["content"][0]["text"] for it in shown["messages"]]
    assert texts == ["Once?", "Better", "And then?"]


async def test_a_link_shows_nothing_of_other_sessions(chat: Chat) -> None:
    await _talk(chat, "Private")
    link = await share(chat.ada, await _talk(chat, "Public"))

    shown = await read(chat.bob, link["token"])

    assert [it["content"][0]["text"] for it in shown["messages"]] == ["Public", "Well met"]
    assert await chat.bob.value("select count(*) from public.messages") == 0
    assert await chat.bob.value(_LINKS) == 0


async def test_a_long_session_is_read_in_pages(chat: Chat) -> None:
    link = await share(chat.ada, await _talk(chat, "1", "2", "3"))

    pages = [await read(chat.bob, link["token"], after, 2) for after in (0, 2, 4, 6)]

    assert [[it["number"] for it in page["messages"]] for page in pages] == [
        [1, 2],
        [3, 4],
        [5, 6],
        [],
    ]
    assert [page["more"] for page in pages] == [True, True, False, False]


async def test_a_page_has_a_message_at_least_and_about_4_mb_at_most(chat: Chat) -> None:
    session = await chat.ada.start_session()
    big = "x" * 250_000
    for _ in range(20):
        await chat.ada.say(session, big)
        await chat.worker.finish(await chat.worker.claim_one())
    link = await share(chat.ada, session)

    numbers: list[int] = []
    pages = 0
    more = True
    while more:
        page = await read(chat.bob, link["token"], numbers[-1] if numbers else 0)
        numbers += [it["number"] for it in page["messages"]]
        more, pages = page["more"], pages + 1

    assert (numbers, pages) == (list(range(1, 41)), 2)


async def test_a_session_without_messages_is_shown_empty(chat: Chat) -> None:
    link = await share(chat.ada, await chat.ada.start_session("Empty"))

    shown = await read(chat.bob, link["token"])

    assert shown == {"title": "Empty", "messages": [], "more": False}


async def test_a_link_that_opens_nothing_always_says_the_same(chat: Chat) -> None:
    session = await _talk(chat, "Hello")
    revoked, expired, gone = [await share(chat.ada, it) for it in (session, session, session)]
    await chat.ada.delete("session_shares", revoked["id"])
    await chat.admin.execute(
        "update public.session_shares set expires_at = clock_timestamp() where id = $1",
        expired["id"],
    )
    other_session = await _talk(chat, "Gone")
    other = await share(chat.ada, other_session)
    await chat.ada.delete("chat_sessions", other_session)

    tokens = [revoked["token"], expired["token"], other["token"], "", "x" * 100_000, None]
    tokens += [
        gone["token"] + " ",
        gone["token"].swapcase(),
        str(gone["id"]),
        "'; drop table x; --",
    ]
    refusals = set()
    for token in tokens:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await read(chat.browser(ANONYMOUS), token)
        refusals.add((refused.value.sqlstate, str(refused.value), refused.value.hint))
    assert refusals == {("PT404", "there is no such link, or no longer", None)}
    assert (await read(chat.browser(ANONYMOUS), gone["token"]))["title"] == "Dragons"


async def test_a_link_ends_when_it_was_told_to(chat: Chat) -> None:
    session = await chat.ada.start_session()
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    sql = "select * from public.share_session($1, $2)"

    (link,) = await chat.ada.fetch(sql, session, until)

    assert link["expires_at"] == until
    assert await read(chat.bob, link["token"])
    with pytest.raises(asyncpg.CheckViolationError, match="in the past"):
        await chat.ada.fetch(sql, session, until - dt.timedelta(hours=2))


async def test_the_token_is_long_random_and_kept_nowhere(chat: Chat) -> None:
    session = await chat.ada.start_session()
    links = [await share(chat.ada, session) for _ in range(10)]

    assert len({link["token"] for link in links}) == 10
    assert {len(link["token"]) for link in links} == {43}
    kept = await chat.ada.fetch("select s::text as row from public.session_shares s")
    for link in links:
        assert all(link["token"] not in row["row"] for row in kept)


async def test_a_session_has_a_hundred_links_at_most(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute(
        "insert into public.session_shares (id, session_id, user_id, created_by)"
        " select gen_random_uuid(), $1, $2, $2 from generate_series(1, 99)",
        session,
        ADA.sub,
    )
    await share(chat.ada, session)

    with pytest.raises(asyncpg.CheckViolationError, match="100 links"):
        await share(chat.ada, session)


@pytest.mark.parametrize("who", [BOB, NO_SUB, ELSEWHERE, user("user_2ada", org_id="org_1")])
async def test_nobody_shares_the_session_of_another(chat: Chat, who: Identity) -> None:
    session = await chat.ada.start_session()

    for target in (session, uuid4()):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="session not found"):
            await share(chat.browser(who), target)


async def test_a_visitor_shares_nothing(chat: Chat) -> None:
    session = await chat.ada.start_session()

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await share(chat.browser(ANONYMOUS), session)


async def test_in_an_organisation_who_started_the_session_and_admins_share_it(chat: Chat) -> None:
    session = await chat.browser(STARTER).start_session()

    for who in (STARTER, ADMIN):
        assert await read(chat.bob, (await share(chat.browser(who), session))["token"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="or an admin"):
        await share(chat.browser(MEMBER), session)


async def test_members_see_the_links_and_managers_revoke_them(chat: Chat) -> None:
    session = await chat.browser(STARTER).start_session()
    first = await share(chat.browser(STARTER), session)
    second = await share(chat.browser(ADMIN), session)

    for who in (STARTER, MEMBER, ADMIN):
        assert await chat.browser(who).value(_LINKS) == 2
    for who in (BOB, ELSEWHERE, LEFT):
        assert await chat.browser(who).value(_LINKS) == 0
        assert await chat.browser(who).delete("session_shares", first["id"], second["id"]) == 0
    assert await chat.browser(MEMBER).delete("session_shares", first["id"], second["id"]) == 0
    assert await chat.browser(ADMIN).delete("session_shares", first["id"]) == 1
    assert await chat.browser(STARTER).delete("session_shares", second["id"]) == 1


async def test_who_shared_a_session_may_revoke_the_link_without_being_an_admin_any_more(
    chat: Chat,
) -> None:
    session = await chat.browser(STARTER).start_session()
    link = await share(chat.browser(ADMIN), session)

    demoted = user(ADMIN.sub, o={"id": "org_1", "rol": "member"})

    assert await chat.browser(demoted).delete("session_shares", link["id"]) == 1


async def test_a_browser_writes_no_links(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await share(chat.ada, session)

    for sql in (
        "insert into public.session_shares (id) values (gen_random_uuid())",
        "update public.session_shares set expires_at = null",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await chat.ada.change(sql)


async def test_no_link_travels_in_a_url(chat: Chat) -> None:
    # PostgREST takes a function by GET, with its arguments in the address, unless it is volatile.
    sql = "select provolatile from pg_proc where proname = any($1)"

    kinds = await chat.admin.fetch(sql, ["share_session", "read_shared_session"])

    assert [row["provolatile"] for row in kinds] == [b"v", b"v"]


async def test_a_deleted_session_takes_its_links_along(chat: Chat) -> None:
    session, other = await chat.ada.start_session(), await chat.ada.start_session()
    for it in (session, other):
        await share(chat.ada, it)

    await chat.ada.delete("chat_sessions", session)

    assert await chat.admin.fetchval(_LINKS) == 1


@pytest.mark.parametrize(
    ("after", "limit", "numbers"),
    [
        (-5, 2, [1, 2]),
        (None, None, [1, 2]),
        (1, 0, [2]),
        (0, 2147483647, [1, 2]),
        (2147483647, 2147483647, []),
    ],
)
async def test_whatever_page_is_asked_for_there_is_an_answer(
    chat: Chat, after: int | None, limit: int | None, numbers: list[int]
) -> None:
    link = await share(chat.ada, await _talk(chat, "Hello"))

    page = await chat.bob.value(_READ, link["token"], after, limit)

    assert ([it["number"] for it in page["messages"]], page["more"]) == (numbers, False)
