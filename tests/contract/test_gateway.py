"""What every gateway does: calls functions as an identity, and says what went wrong in our words."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.errors import (
    AssistantsError,
    Conflict,
    DatabaseContended,
    DatabaseRejected,
    DatabaseUnavailable,
    InputInvalid,
    NotFound,
    NotPermitted,
)
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.ports.clock import SystemClock
from backend.ports.gateway import Caller
from tests.support.chat import Chat
from tests.support.identities import ADA, BOB
from tests.support.processes import until
from tests.support.worker import text

ADA_CALLS = Caller(dict(ADA.claims or {}))
BOB_CALLS = Caller(dict(BOB.claims or {}))
RAISE = """
create function engine.trial_raise(p_state text, p_text text default 'said on purpose')
returns jsonb language plpgsql as $$
begin raise exception using errcode = p_state, message = p_text; end $$;
"""


async def claim(gateway: AsyncpgGateway, limit: int = 10) -> Any:
    arguments = {"p_worker": "w", "p_limit": limit, "p_lease_s": 10.0}
    return await gateway.call("engine.claim_runs", arguments)


async def test_a_function_gets_json_and_gives_json(chat: Chat, gateway: AsyncpgGateway) -> None:
    message = await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    assert found["message_id"] == str(message)
    assert found["fence"] == 1
    finished = await gateway.call(
        "engine.finish_run",
        {
            "p_run": found["run_id"],
            "p_worker": "w",
            "p_fence": found["fence"],
            "p_status": "completed",
            "p_message_id": str(uuid4()),
            "p_content": text("Ünïcode \x00 😀"),
            "p_usage": None,
            "p_reason": None,
            "p_error": None,
            "p_events": [],
        },
    )
    assert finished == {"state": "stored", "status": "completed"}
    outcome = await chat.outcome(found["run_id"])
    assert outcome["content"] == text("Ünïcode \N{REPLACEMENT CHARACTER} 😀")


async def test_arguments_that_are_left_out_take_the_functions_defaults(
    chat: Chat, gateway: AsyncpgGateway
) -> None:
    assert await claim(gateway) == []
    assert await chat.admin.fetchval("select count(*) from engine.runs") == 0


async def test_a_caller_sees_and_moves_its_own_rows(chat: Chat, gateway: AsyncpgGateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    rows = await gateway.call("public.cancel_run", {"p_run": found["run_id"]}, identity=ADA_CALLS)
    assert [row["status"] for row in rows] == ["cancelling"]


async def test_a_caller_is_refused_what_is_not_its_own(chat: Chat, gateway: AsyncpgGateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    for run in (found["run_id"], str(uuid4())):
        with pytest.raises(NotPermitted):
            await gateway.call("public.cancel_run", {"p_run": run}, identity=BOB_CALLS)


async def test_a_caller_may_not_call_the_services_functions(gateway: AsyncpgGateway) -> None:
    arguments = {"p_worker": "w", "p_limit": 1, "p_lease_s": 10.0}
    with pytest.raises(NotPermitted):
        await gateway.call("engine.claim_runs", arguments, identity=ADA_CALLS)


async def test_the_service_has_no_rights_of_a_user(gateway: AsyncpgGateway) -> None:
    with pytest.raises(NotPermitted):
        await gateway.call("public.cancel_run", {"p_run": str(uuid4())})


async def test_no_identity_outlives_its_call(chat: Chat, gateway: AsyncpgGateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    await gateway.call("public.search_messages", {"p_query": "hello"}, identity=ADA_CALLS)
    assert len(await claim(gateway)) == 1
    with pytest.raises(NotPermitted):
        await gateway.call("public.search_messages", {"p_query": "hello"})


async def test_callers_at_the_same_time_are_not_mixed_up(
    chat: Chat, gateway: AsyncpgGateway
) -> None:
    async def search(caller: Caller) -> list[Any]:
        rows = await gateway.call("public.search_messages", {"p_query": "hello"}, identity=caller)
        return list(rows)

    await chat.ada.say(await chat.ada.start_session(), "hello from Ada")
    await chat.bob.say(await chat.bob.start_session(), "hello from Bob")
    callers = [ADA_CALLS, BOB_CALLS] * 20
    found = await asyncio.gather(*(search(caller) for caller in callers))
    for caller, rows in zip(callers, found, strict=True):
        assert [row["user_id"] for row in rows] == [caller.claims["sub"]]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("42501", NotPermitted),
        ("23514", InputInvalid),
        ("PT409", Conflict),
        ("PT404", NotFound),
        ("40001", DatabaseContended),
        ("40P01", DatabaseContended),
        ("57P01", DatabaseUnavailable),
        ("53300", DatabaseUnavailable),
        ("XX000", DatabaseRejected),
    ],
)
async def test_a_sqlstate_becomes_an_error_of_ours(
    chat: Chat, gateway: AsyncpgGateway, state: str, error: type[AssistantsError]
) -> None:
    await chat.admin.execute(RAISE + "grant execute on function engine.trial_raise to public")
    with pytest.raises(error) as raised:
        await gateway.call("engine.trial_raise", {"p_state": state})
    assert type(raised.value) is error


async def test_what_the_server_says_about_rows_stays_out_of_the_error(
    chat: Chat, gateway: AsyncpgGateway
) -> None:
    await chat.admin.execute(RAISE + "grant execute on function engine.trial_raise to public")
    arguments = {"p_state": "23505", "p_text": "Key (content)=(my secret) already exists"}
    with pytest.raises(InputInvalid) as raised:
        await gateway.call("engine.trial_raise", arguments)
    assert "secret" not in repr(raised.value)
    assert raised.value.__cause__ is None


async def test_a_deadlock_that_passes_is_not_noticed(chat: Chat, gateway: AsyncpgGateway) -> None:
    await chat.admin.execute(
        """
        create sequence engine.tries;
        create function engine.trial() returns jsonb language plpgsql security definer as $$
        begin
            if nextval('engine.tries') < 4 then
                raise exception using errcode = '40P01', message = 'deadlock';
            end if;
            return '"done"';
        end $$;
        """
    )
    await chat.admin.execute("grant execute on function engine.trial to public")
    assert await gateway.call("engine.trial", {}) == "done"


async def test_an_argument_of_another_type_is_refused(gateway: AsyncpgGateway) -> None:
    for wrong in ({"p_limit": "many"}, {"p_events": 1}):
        arguments = {"p_run": "no uuid", "p_worker": "w", "p_fence": 1, **wrong}
        function = "engine.release_run" if "p_events" in wrong else "engine.purge"
        with pytest.raises(InputInvalid):
            await gateway.call(function, wrong if "p_limit" in wrong else arguments)


async def test_only_functions_of_ours_can_be_named(gateway: AsyncpgGateway) -> None:
    for function in (
        "pg_catalog.pg_sleep",
        "engine.f(); drop table x; --",
        "claim_runs",
        "auth.jwt",
    ):
        with pytest.raises(InputInvalid):
            await gateway.call(function, {})
    with pytest.raises(InputInvalid):
        await gateway.call("engine.claim_runs", {"p_limit => 1); --": 1})


async def test_a_connection_that_was_cut_is_an_absent_database_and_the_next_call_works(
    chat: Chat, gateway: AsyncpgGateway
) -> None:
    await claim(gateway)
    await chat.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'assistants_service'"
    )
    for _ in range(6):
        try:
            assert await claim(gateway) == []
        except DatabaseUnavailable:
            continue
        break
    else:
        pytest.fail("the pool did not recover")


async def test_a_database_that_is_not_there_is_said_to_be_unavailable(service_url: str) -> None:
    nobody = service_url.rpartition("@")[0] + "@127.0.0.1:1/postgres"
    async with AsyncpgGateway(nobody, SystemClock(), size=1, timeout_s=2) as gateway:
        with pytest.raises(DatabaseUnavailable):
            await claim(gateway)


async def test_no_connection_is_held_between_calls(chat: Chat, gateway: AsyncpgGateway) -> None:
    await asyncio.gather(*(claim(gateway) for _ in range(20)))
    busy = await chat.admin.fetchval(
        "select count(*) from pg_stat_activity"
        " where usename = 'assistants_service' and state <> 'idle'"
    )
    assert busy == 0


async def test_a_call_that_takes_too_long_does_not_go_on_in_the_server(
    chat: Chat, gateway: AsyncpgGateway
) -> None:
    await chat.admin.execute(
        "create function engine.trial() returns jsonb language plpgsql as"
        " $$ begin perform pg_sleep(60); return '1'; end $$;"
        " grant execute on function engine.trial to public"
    )
    with pytest.raises(DatabaseUnavailable):
        await gateway.call("engine.trial", {})

    async def is_over() -> bool:
        sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        return bool(await chat.admin.fetchval(sql) == 0)

    await until(is_over, within_s=3)
    assert await claim(gateway) == []


async def test_ids_may_be_text(chat: Chat, gateway: AsyncpgGateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    assert UUID(found["run_id"])
    held = {"p_run": found["run_id"], "p_worker": "w", "p_fence": 1}
    history = await gateway.call("engine.run_history", held)
    assert history["messages"][-1]["content"] == text("Hello")
