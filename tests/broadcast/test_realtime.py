"""What is posted to Realtime, and what its answers mean."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.domain.ids import SessionId
from backend.integrations.supabase.realtime import RealtimeBroadcasts
from tests.broadcast.http_post import PostOffice, post_office

KEY = "sb_secret_0123456789"
A, B = SessionId("00000000-0000-4000-8000-00000000000a"), SessionId("b")


def delta(seq: int, text: str = "ü") -> dict[str, Any]:
    return {"run_id": "r", "seq": seq, "type": "message.delta", "message_id": "m", "text": text}


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as made:
        yield made


@pytest.fixture
async def channel(office: PostOffice) -> AsyncIterator[RealtimeBroadcasts]:
    async with RealtimeBroadcasts(office.url + "/", KEY) as made:
        yield made


async def test_many_sessions_are_one_request_of_private_messages(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    answer = await channel.send([(A, [delta(1), delta(2)]), (B, [delta(7)])])

    (post,) = office.posts
    assert post.line == "POST /realtime/v1/api/broadcast HTTP/1.1"
    assert post.messages == [
        {
            "topic": f"session:{A}",
            "event": "events",
            "payload": {"events": [delta(1), delta(2)]},
            "private": True,
        },
        {
            "topic": "session:b",
            "event": "events",
            "payload": {"events": [delta(7)]},
            "private": True,
        },
    ]
    assert (answer.verdict, answer.messages) == ("taken", 2)


async def test_the_secret_key_is_no_bearer_token(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    await channel.send([(A, [delta(1)])])

    (post,) = office.posts
    assert post.headers["apikey"] == KEY
    assert "authorization" not in post.headers
    assert post.headers["content-type"] == "application/json"


async def test_one_connection_is_used_again(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    for seq in range(3):
        await channel.send([(A, [delta(seq)])])

    assert len(office.posts) == 3
    assert office.posts[0].headers.get("connection") == "keep-alive"


async def test_a_session_that_says_much_gets_several_messages_in_order(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    said = [delta(seq, "😀" * 5_000) for seq in range(1, 21)]

    answer = await channel.send([(A, said)])

    messages = [message for post in office.posts for message in post.messages]
    assert [event for message in messages for event in message["payload"]["events"]] == said
    assert len(messages) == 3
    assert answer.messages == 3


async def test_no_message_and_no_request_is_over_its_limit(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    sessions = [(SessionId(f"s{number}"), [delta(1, "x" * 140_000)]) for number in range(20)]

    await channel.send(sessions)

    assert all(len(post.body) < 1_100_000 for post in office.posts)
    assert [len(post.messages) for post in office.posts] == [7, 7, 6]


async def test_an_event_that_is_too_large_is_a_hint_to_read_it(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    await channel.send([(A, [delta(1), delta(2, "x" * 150_000), delta(3)])])

    (post,) = office.posts
    events = [message["payload"]["events"] for message in post.messages]
    assert events == [[delta(1)], [], [delta(3)]]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "taken"),
        (301, "later"),
        (400, "refused"),
        (401, "impossible"),
        (403, "impossible"),
        (404, "impossible"),
        (408, "later"),
        (413, "refused"),
        (422, "refused"),
        (429, "slower"),
        (500, "later"),
        (502, "later"),
        (503, "later"),
    ],
)
async def test_each_answer_has_its_meaning(
    office: PostOffice, channel: RealtimeBroadcasts, status: int, verdict: str
) -> None:
    office.answers = [(status, "Location: http://127.0.0.1:1/\r\n")]

    answer = await channel.send([(A, [delta(1)])])

    assert answer.verdict == verdict
    assert answer.status == (None if verdict == "taken" else status)


@pytest.mark.parametrize(
    ("given", "understood"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", 0.0), ("nan", 0.0), ("inf", 0.0), ("1e9", 60)],
)
async def test_retry_after_is_heeded_within_reason(
    office: PostOffice, channel: RealtimeBroadcasts, given: str, understood: float
) -> None:
    office.answers = [(429, f"Retry-After: {given}\r\n")]

    answer = await channel.send([(A, [delta(1)])])

    assert answer.retry_after_s == understood


async def test_nothing_is_posted_after_what_was_not_taken(
    office: PostOffice, channel: RealtimeBroadcasts
) -> None:
    office.answers = [(202, ""), (503, "")]
    sessions = [(SessionId(f"s{number}"), [delta(1, "x" * 140_000)]) for number in range(20)]

    answer = await channel.send(sessions)

    assert (answer.verdict, len(office.posts), answer.messages) == ("later", 2, 14)


async def test_a_service_that_hangs_is_given_up(
    office: PostOffice,
) -> None:
    office.is_dumb = True
    async with RealtimeBroadcasts(office.url, KEY, timeout_s=0.05) as impatient:
        answer = await impatient.send([(A, [delta(1)])])

    assert (answer.verdict, answer.status) == ("later", None)


async def test_a_service_that_is_not_there_is_not_the_end() -> None:
    async with RealtimeBroadcasts("http://127.0.0.1:1", KEY) as channel:
        answer = await channel.send([(A, [delta(1)])])

    assert (answer.verdict, answer.status) == ("later", None)
