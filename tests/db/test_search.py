"""Finding messages by words: one's own only, the newest first, whatever is typed."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.browser import Browser
from tests.support.chat import Chat
from tests.support.cluster import Database
from tests.support.driving import driven, examples
from tests.support.identities import NO_SUB, ODD
from tests.support.worker import text


async def test_words_are_found_whatever_their_case_and_order(chat: Chat) -> None:
    session = await chat.ada.start_session()
    found = await chat.ada.say(session, "The Dragon sleeps under the mountain")
    await chat.ada.say(session, "A goblin")

    assert await chat.ada.search("MOUNTAIN dragon") == [found]


async def test_replies_are_found_too(chat: Chat) -> None:
    claim = await chat.claimed("Where?")
    await chat.worker.finish(claim, "In the crypt")

    assert await chat.ada.search("crypt") == [(await chat.outcome(claim["run_id"]))["id"]]


async def test_quotes_or_and_minus_mean_what_they_mean_on_the_web(chat: Chat) -> None:
    session = await chat.ada.start_session()
    red, blue, both = [
        await chat.ada.say(session, words)
        for words in ("red door", "blue door", "red key, blue door")
    ]

    assert await chat.ada.search('"blue door"') == [both, blue]
    assert await chat.ada.search("red or blue") == [both, blue, red]
    assert await chat.ada.search("door -blue") == [red]


async def test_other_users_messages_are_never_found(chat: Chat) -> None:
    await chat.bob.say(await chat.bob.start_session(), "dragon")

    assert await chat.ada.search("dragon") == []
    assert await chat.ada.search("-goblin") == []


async def test_another_users_session_is_empty(chat: Chat) -> None:
    session = await chat.bob.start_session()
    await chat.bob.say(session, "dragon")

    assert await chat.ada.search("dragon", p_session=session) == []


async def test_a_search_can_stay_within_one_session(chat: Chat) -> None:
    here, there = await chat.ada.start_session(), await chat.ada.start_session()
    found = await chat.ada.say(here, "dragon")
    await chat.ada.say(there, "dragon")

    assert await chat.ada.search("dragon", p_session=here) == [found]


async def test_the_newest_come_first_and_pages_go_on_where_the_last_one_ended(chat: Chat) -> None:
    session = await chat.ada.start_session()
    ids = [await chat.ada.say(session, f"dragon {number}") for number in range(5)]

    pages: list[UUID] = []
    before = None
    while page := await chat.ada.search("dragon", p_limit=2, p_before=before):
        pages += page
        assert len(pages) <= len(ids)
        before = (await chat.message(page[-1]))["position"]

    assert pages == ids[::-1]


@pytest.mark.parametrize(("limit", "found"), [(-1, 0), (0, 0), (1, 1), (1000, 100)])
async def test_a_page_has_at_most_100_rows(chat: Chat, limit: int, found: int) -> None:
    await _fill(chat, 101)

    assert len(await chat.ada.search("dragon", p_limit=limit)) == found


async def test_without_a_limit_a_page_has_20_rows(chat: Chat) -> None:
    await _fill(chat, 21)

    assert len(await chat.ada.search("dragon")) == 20


@pytest.mark.parametrize("query", [None, "", " ", "''", '""', "!", "& | !", "-"])
async def test_a_query_without_words_finds_nothing(chat: Chat, query: str | None) -> None:
    await chat.ada.say(await chat.ada.start_session(), "dragon & | ! -")

    assert await chat.ada.search(query) == []


async def test_nobody_finds_nothing(chat: Chat) -> None:
    await chat.ada.say(await chat.ada.start_session(), "dragon")

    assert await chat.browser(NO_SUB).search("dragon") == []
    assert await chat.browser(NO_SUB).search("-goblin") == []


async def test_an_id_with_quotes_and_emoji_searches_like_any_other(chat: Chat) -> None:
    odd = chat.browser(ODD)
    found = await odd.say(await odd.start_session(), "dragon")
    await chat.ada.say(await chat.ada.start_session(), "dragon")

    assert await odd.search("dragon") == [found]


async def test_words_beyond_the_first_hundred_thousand_letters_are_not_indexed(chat: Chat) -> None:
    session = await chat.ada.start_session()
    await chat.ada.say(session, "early " + "x " * 50_000 + "late")

    assert len(await chat.ada.search("early")) == 1
    assert await chat.ada.search("late") == []


async def test_no_text_is_indexed_as_an_owner(chat: Chat) -> None:
    lexeme = await chat.admin.fetchval("select engine.owner_lexeme('user_2bob')")
    said = f"{lexeme} '{lexeme}' {lexeme.replace(' ', '')}"

    indexed = "select engine.search_vector('user_2ada', $1) @@ quote_literal($2::text)::tsquery"

    for disguise in (lexeme, lexeme.replace(" ", "-"), lexeme.replace(" ", "_")):
        assert not await chat.admin.fetchval(indexed, text(f"{said} {disguise}"), lexeme)
    assert await chat.admin.fetchval(indexed.replace("2ada", "2bob"), text(""), lexeme)


async def test_nobody_finds_by_naming_an_owners_lexeme(chat: Chat) -> None:
    await chat.bob.say(await chat.bob.start_session(), "dragon")
    lexeme = await chat.admin.fetchval("select engine.owner_lexeme('user_2bob')")

    for query in (lexeme, f'"{lexeme}"', f"'{lexeme}'", f"dragon or {lexeme}", f"-{lexeme}"):
        assert await chat.ada.search(query) == []


_QUERIES = st.lists(
    st.sampled_from(["dragon", "goblin", "'", '"', "\\", "!", "&", "|", "(", ")", ":*", "<->"])
    | st.sampled_from([" ", "-", "or", "owner", ":A", "%", ";--"])
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    max_size=12,
).map("".join)


def test_no_query_raises_or_leaks(database: Database) -> None:
    with driven(database) as (chat, run):
        own = run(_said(chat.ada, "dragon"))
        run(_said(chat.bob, "dragon goblin"))

        @examples(150)
        @given(_QUERIES)
        def holds(query: str) -> None:
            assert set(run(chat.ada.search(query))) <= {own}

        holds()


async def _said(browser: Browser, words: str) -> UUID:
    return await browser.say(await browser.start_session(), words)


async def _fill(chat: Chat, number: int) -> None:
    session = await chat.ada.start_session()
    await chat.admin.execute(
        "insert into messages (session_id, content, starts_run)"
        """ select $1, '"dragon"', false from generate_series(1, $2::int)""",
        session,
        number,
    )
