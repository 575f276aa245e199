"""What `act_as_*` leave behind: the service's role and claims, as they were."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.chat import Chat
from tests.support.identities import ADA, BOB, SERVICE

_NOW = "select current_user, current_setting('role'), current_setting('request.jwt.claims')"
CLAIMS = dict(ADA.claims or {})


async def _settled(chat: Chat) -> dict[str, UUID]:
    session = await chat.ada.start_session()
    message = await chat.ada.say(session, "hello")
    await chat.worker.finish(await chat.worker.claim_one())
    return {"session": session, "message": message, "run": (await chat.runs(session))[0]["id"]}


def _calls(ids: dict[str, UUID]) -> dict[str, tuple[Any, ...]]:
    return {
        "act_as_read_stream": (ids["session"],),
        "act_as_search_messages": ("hello",),
        "act_as_cancel_run": (ids["run"],),
        "act_as_regenerate": (ids["message"],),
    }


async def test_afterwards_role_and_claims_are_the_services_again(chat: Chat) -> None:
    ids = await _settled(chat)
    for name, values in _calls(ids).items():
        async with chat.browser(SERVICE).transaction() as connection:
            before = await connection.fetchrow(_NOW)
            given = ", ".join(f"${number}" for number in range(1, len(values) + 2))
            await connection.fetch(f"select * from public.{name}({given})", CLAIMS, *values)
            assert await connection.fetchrow(_NOW) == before, name


async def test_a_set_of_which_only_one_row_is_read_leaves_nothing_behind_either(chat: Chat) -> None:
    ids = await _settled(chat)
    await chat.ada.say(ids["session"], "hello again")
    async with chat.browser(SERVICE).transaction() as connection:
        before = await connection.fetchrow(_NOW)
        sql = "select (public.act_as_search_messages($1, 'hello')).id limit 1"
        assert len(await connection.fetch(sql, CLAIMS)) == 1
        assert await connection.fetchrow(_NOW) == before


async def test_after_a_refusal_they_are_as_well(chat: Chat) -> None:
    ids = await _settled(chat)
    async with chat.browser(SERVICE).transaction() as connection:
        before = await connection.fetchrow(_NOW)
        for run in (ids["run"], uuid4()):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.fetch(
                        "select * from public.act_as_cancel_run($1, $2)",
                        dict(BOB.claims or {}),
                        run,
                    )
            assert await connection.fetchrow(_NOW) == before


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": BOB.sub, "role": "service_role"}])
async def test_no_claims_reach_more_than_their_user_may(chat: Chat, claims: Any) -> None:
    ids = await _settled(chat)
    async with chat.browser(SERVICE).transaction() as connection:
        sql = "select public.act_as_read_stream($1, $2)"
        assert await connection.fetchval(sql, claims, ids["session"]) is None
