"""search_database finds what the asker may read, over each of the ways to the database."""

from typing import Any
from uuid import UUID

from backend.domain.asker import Asker
from backend.domain.ids import RunId, SessionId
from backend.ports.clock import SystemClock
from backend.ports.gateway import Gateway
from backend.ports.tools import ToolContext
from backend.tools.builtin.search import database_search
from backend.tools.invocation import ToolOutcome, invoke
from tests.support.chat import Chat
from tests.support.identities import ADA, BOB, Identity


async def search(
    gateway: Gateway, who: Identity, here: UUID | None = None, **arguments: Any
) -> ToolOutcome:
    asker = Asker(who.sub, claims=dict(who.claims or {}))
    context = ToolContext(RunId("r"), SessionId(str(here)), asker, "k")
    return await invoke(database_search(gateway), arguments, context, SystemClock())


async def test_it_finds_the_askers_messages_and_nobody_elses(chat: Chat, gateway: Gateway) -> None:
    here, there = await chat.ada.start_session(), await chat.ada.start_session()
    old = await chat.ada.say(there, "The dragon sleeps under the mountain")
    new = await chat.ada.say(here, "Where is the dragon?")
    await chat.bob.say(await chat.bob.start_session(), "My dragon is secret")

    found: Any = (await search(gateway, ADA, here, query="dragon")).output

    assert [it["message_id"] for it in found] == [str(new), str(old)]
    assert [it["in_this_conversation"] for it in found] == [True, False]
    assert found[1]["text"] == "The dragon sleeps under the mountain"
    assert found[1]["role"] == "user"
    only: Any = (await search(gateway, BOB, query="dragon")).output
    assert [it["text"] for it in only] == ["My dragon is secret"]


async def test_the_limit_holds_and_the_newest_come_first(chat: Chat, gateway: Gateway) -> None:
    session = await chat.ada.start_session()
    said = [str(await chat.ada.say(session, f"dragon {it}")) for it in range(4)]
    found: Any = (await search(gateway, ADA, query="dragon", limit=2)).output
    assert [it["message_id"] for it in found] == said[:1:-1]


async def test_no_query_is_ever_sql(chat: Chat, gateway: Gateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "dragon")
    for query in ("'; drop table messages; --", "dragon' or 1=1 --", "\x00", "%_", "a\ud800"):
        outcome = await search(gateway, BOB, query=query)
        assert outcome.is_error or outcome.output == []
    assert await chat.ada.search("dragon")


async def test_who_has_no_name_finds_nothing(chat: Chat, gateway: Gateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "dragon")
    nobody = Identity("authenticated", {"sub": ""})
    assert (await search(gateway, nobody, query="dragon")).is_error


async def test_a_long_message_is_shown_where_the_word_is(chat: Chat, gateway: Gateway) -> None:
    words = "stone " * 400 + "dragon " + "stone " * 400
    await chat.ada.say(await chat.ada.start_session(), words)
    found: Any = (await search(gateway, ADA, query="Dragon")).output
    assert "dragon" in found[0]["text"]
    assert len(found[0]["text"]) < 700
