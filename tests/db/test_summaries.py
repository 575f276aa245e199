"""Summaries of long conversations: kept under the fence, and gone with their sessions."""

from typing import Any

from tests.support.chat import Chat

SUMMARY = {"text": "They greeted.", "covers": 2, "digest": "0" * 32}
LATER = {"text": "They parted.", "covers": 4, "digest": "1" * 32}


async def keep(chat: Chat, claim: Any, summary: Any) -> Any:
    return await chat.worker.call(
        "keep_summary", claim["run_id"], chat.worker.name, claim["fence"], summary
    )


async def test_the_newest_one_is_told_with_the_history(chat: Chat) -> None:
    claim = await chat.claimed()

    for summary in (SUMMARY, LATER):
        assert await keep(chat, claim, summary) == {"state": "stored"}

    history = await chat.worker.history(claim)
    assert history["summary"] == LATER


async def test_who_has_lost_the_run_keeps_nothing(chat: Chat) -> None:
    claim = await chat.claimed()

    assert await keep(chat, {**claim, "fence": claim["fence"] - 1}, SUMMARY) == {"state": "lost"}

    assert await chat.admin.fetchval("select count(*) from engine.session_summaries") == 0


async def test_a_summary_goes_with_its_session(chat: Chat) -> None:
    claim = await chat.claimed()
    await keep(chat, claim, SUMMARY)

    await chat.admin.execute("delete from public.chat_sessions")

    assert await chat.admin.fetchval("select count(*) from engine.session_summaries") == 0
    assert await keep(chat, claim, SUMMARY) == {"state": "gone"}
