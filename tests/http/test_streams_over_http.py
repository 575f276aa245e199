"""What the service says of a session to those whom the project's tokens let in."""

import asyncio
from uuid import uuid4

import httpx
from supabase import Client

from tests.http.chats import Row, answers, say, start_session, text_of
from tests.http.crew import Crew
from tests.support.stack import Stack
from tests.support.stream_reader import StreamReader, Transcript, until_ending

SLOW = 'offline: {"deltas": 30, "delay_ms": 20, "text": "über 😀 "}'


def test_the_service_streams_the_answer_that_is_stored(
    crew: Crew, stack: Stack, mine: Client, user: str
) -> None:
    session = start_session(mine)

    async def hear() -> Transcript:
        heard = Transcript()
        async with crew.service.client() as client:
            reader = StreamReader(client, session["id"], lambda: stack.token(user))
            async with reader.open() as frames:
                heard.hear(await anext(frames))
                await asyncio.to_thread(say, mine, session, SLOW)
                async for frame in until_ending(frames):
                    heard.hear(frame)
        return heard

    heard = asyncio.run(hear())

    answer = answers(mine, session, 1)[0]
    assert heard.texts == {answer["id"]: text_of(answer)}
    assert [it["type"] for it in heard.endings.values()] == ["run.completed"]


def test_another_user_hears_of_no_session(crew: Crew, stack: Stack, mine: Client) -> None:
    missing = {"id": str(uuid4())}
    theirs = f"user_{uuid4().hex}"

    def asked(session: Row) -> tuple[int, str]:
        answer = httpx.get(
            f"{crew.service.url}/sessions/{session['id']}/events",
            headers={"Authorization": f"Bearer {stack.token(theirs)}"},
        )
        return answer.status_code, answer.json()["error"]["code"]

    assert asked(start_session(mine)) == asked(missing)
    assert asked(missing)[0] == 404
