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
    SchemaMissing,
    TooManyRequests,
)
from backend.ports.gateway import Caller, Gateway
from tests.contract.ways import Way
from tests.support.chat import Chat
from tests.support.identities import ADA, BOB
from tests.support.processes import until
from tests.support.worker import call, text

RAISE = "begin raise exception using errcode = p_state, message = p_text; end"
RAISED = "p_state text, p_text text"


async def claim(gateway: Gateway, limit: int = 10) -> Any:
    arguments = {"p_worker": "w", "p_limit": limit, "p_lease_s": 10.0}
    return await gateway.call("engine.claim_runs", arguments)


async def test_a_function_gets_json_and_gives_json(chat: Chat, gateway: Gateway) -> None:
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
    chat: Chat, gateway: Gateway
) -> None:
    assert await claim(gateway) == []
    assert await chat.admin.fetchval("select count(*) from engine.runs") == 0


async def test_a_caller_sees_and_moves_its_own_rows(chat: Chat, way: Way, gateway: Gateway) -> None:
    for ada in way.callers(ADA):
        await chat.ada.say(await chat.ada.start_session(), "Hello")
        (found,) = await claim(gateway)
        rows = await gateway.call("public.cancel_run", {"p_run": found["run_id"]}, identity=ada)
        assert [row["status"] for row in rows] == ["cancelling"]


async def test_a_caller_reads_its_own_stream_and_no_other(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    arguments = {"p_session_id": str(await chat.ada.start_session())}
    for ada in way.callers(ADA):
        opening = await gateway.call("public.read_stream", arguments, identity=ada)
        assert opening["events"] == []
    for bob in way.callers(BOB):
        assert await gateway.call("public.read_stream", arguments, identity=bob) is None


async def test_a_caller_submits_outputs_and_has_a_message_answered_again(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    for ada in way.callers(ADA):
        message = await chat.ada.say(await chat.ada.start_session(), "Roll the dice")
        (found,) = await claim(gateway)
        held = {"p_run": found["run_id"], "p_worker": "w", "p_fence": found["fence"]}
        parked = {"p_steps": [call(0, "a")], "p_events": []}
        await gateway.call("engine.park_run", {**held, **parked})
        outputs = {"p_run": found["run_id"], "p_outputs": [{"call_id": "a", "output": "7"}]}
        (run,) = await gateway.call("public.submit_tool_outputs", outputs, identity=ada)
        assert run["status"] == "ready"
        await gateway.call("public.cancel_run", {"p_run": run["id"]}, identity=ada)
        asked = {"p_message": str(message)}
        (again,) = await gateway.call("public.regenerate", asked, identity=ada)
        assert again["id"] != run["id"]
        await gateway.call("public.cancel_run", {"p_run": again["id"]}, identity=ada)


async def test_a_caller_is_refused_what_is_not_its_own(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    for bob in way.callers(BOB):
        for run in (found["run_id"], str(uuid4())):
            with pytest.raises(NotPermitted):
                await gateway.call("public.cancel_run", {"p_run": run}, identity=bob)


async def test_a_caller_may_not_call_the_services_functions(way: Way, gateway: Gateway) -> None:
    arguments = {"p_worker": "w", "p_limit": 1, "p_lease_s": 10.0}
    for ada in way.callers(ADA):
        for function in ("engine.claim_runs", "public.service_claim_runs"):
            with pytest.raises((NotPermitted, SchemaMissing)):
                await gateway.call(function, arguments, identity=ada)


async def test_the_service_has_no_rights_of_a_user(gateway: Gateway) -> None:
    with pytest.raises(NotPermitted):
        await gateway.call("public.cancel_run", {"p_run": str(uuid4())})


async def test_no_identity_outlives_its_call(chat: Chat, way: Way, gateway: Gateway) -> None:
    for ada in way.callers(ADA):
        await chat.ada.say(await chat.ada.start_session(), "Hello")
        await gateway.call("public.search_messages", {"p_query": "hello"}, identity=ada)
        assert len(await claim(gateway)) == 1
        with pytest.raises(NotPermitted):
            await gateway.call("public.search_messages", {"p_query": "hello"})


async def test_callers_at_the_same_time_are_not_mixed_up(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    async def search(caller: Caller) -> list[Any]:
        rows = await gateway.call("public.search_messages", {"p_query": "hello"}, identity=caller)
        return list(rows)

    await chat.ada.say(await chat.ada.start_session(), "hello from Ada")
    await chat.bob.say(await chat.bob.start_session(), "hello from Bob")
    callers = [*way.callers(ADA), *way.callers(BOB)] * 10
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
        ("PT429", TooManyRequests),
        ("40001", DatabaseContended),
        ("40P01", DatabaseContended),
        ("57P01", DatabaseUnavailable),
        ("53300", DatabaseUnavailable),
        ("XX000", DatabaseRejected),
    ],
)
async def test_a_sqlstate_becomes_an_error_of_ours(
    way: Way, gateway: Gateway, state: str, error: type[AssistantsError]
) -> None:
    await way.add("trial", RAISE, parameters=RAISED)
    with pytest.raises(error) as raised:
        await gateway.call("engine.trial", {"p_state": state, "p_text": "said on purpose"})
    assert type(raised.value) is error


async def test_a_caller_over_a_limit_is_told_when_to_come_back(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    message = await chat.ada.say(await chat.ada.start_session())
    await chat.worker.finish(await chat.worker.claim_one())
    await chat.configure(user_messages_per_day=1)
    await chat.let_time_pass(86400)
    await chat.ada.say(await chat.ada.start_session())
    for ada in way.callers(ADA):
        with pytest.raises(TooManyRequests) as raised:
            await gateway.call("public.regenerate", {"p_message": str(message)}, identity=ada)
        assert 86300 < raised.value.retry_after_s <= 86400
        assert "the limit is 1 a day per user" in str(raised.value)


WHOLE = "begin raise sqlstate 'PGRST' using message = p_said, detail = p_answer; end"


@pytest.mark.parametrize(
    ("said", "answer", "error"),
    [
        ('{"code": "own", "message": "m"}', '{"status": 404, "headers": {}}', DatabaseRejected),
        ('{"code": "PT409", "message": "m"}', '{"status": 409, "headers": {}}', Conflict),
        ('{"message": "m"}', '{"status": 429, "headers": {}}', DatabaseRejected),
        ("my secret", '{"status": 429, "headers": {}}', DatabaseRejected),
        ('{"code": "PT429", "message": "m"}', "[]", DatabaseRejected),
        ('{"code": "PT429", "message": "m"}', "", DatabaseRejected),
    ],
)
async def test_a_whole_answer_that_is_odd_or_somebody_elses_is_an_error_like_others(
    way: Way, gateway: Gateway, said: str, answer: str, error: type[AssistantsError]
) -> None:
    await way.add("trial", WHOLE, parameters="p_said text, p_answer text")
    with pytest.raises(AssistantsError) as raised:
        await gateway.call("engine.trial", {"p_said": said, "p_answer": answer})
    # What PostgREST itself cannot read it answers with 500, as if it were away.
    assert type(raised.value) in {error, DatabaseUnavailable}
    assert "secret" not in repr(raised.value)


async def test_what_the_server_says_about_rows_stays_out_of_the_error(
    way: Way, gateway: Gateway
) -> None:
    await way.add("trial", RAISE, parameters=RAISED)
    arguments = {"p_state": "23505", "p_text": "Key (content)=(my secret) already exists"}
    with pytest.raises(InputInvalid) as raised:
        await gateway.call("engine.trial", arguments)
    assert "secret" not in repr(raised.value)
    assert raised.value.__cause__ is None


async def test_a_deadlock_that_passes_is_not_noticed(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    await chat.admin.execute("create sequence engine.tries")
    await way.add(
        "trial",
        """
        begin
            if nextval('engine.tries') < 4 then
                raise exception using errcode = '40P01', message = 'deadlock';
            end if;
            return '"done"';
        end
        """,
    )
    assert await gateway.call("engine.trial", {}) == "done"


async def test_a_function_that_is_not_there_is_a_missing_schema(gateway: Gateway) -> None:
    with pytest.raises(SchemaMissing, match="assistants migrate"):
        await gateway.call("engine.of_a_later_release", {"p_run": str(uuid4())})


async def test_an_argument_of_another_type_is_refused(gateway: Gateway) -> None:
    for wrong in ({"p_limit": "many"}, {"p_events": 1}):
        arguments = {"p_run": "no uuid", "p_worker": "w", "p_fence": 1, **wrong}
        function = "engine.release_run" if "p_events" in wrong else "engine.purge"
        with pytest.raises(InputInvalid):
            await gateway.call(function, wrong if "p_limit" in wrong else arguments)


async def test_only_functions_of_ours_can_be_named(gateway: Gateway) -> None:
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
    way: Way, gateway: Gateway
) -> None:
    async def works() -> bool:
        try:
            return bool(await claim(gateway) == [])
        except DatabaseUnavailable:
            return False

    assert await works()
    await way.cut()
    await until(works, within_s=30)


async def test_a_database_that_is_not_there_is_said_to_be_unavailable(way: Way) -> None:
    async with way.nowhere() as gateway:
        with pytest.raises(DatabaseUnavailable):
            await claim(gateway)


async def test_no_connection_is_held_between_calls(chat: Chat, gateway: Gateway) -> None:
    await asyncio.gather(*(claim(gateway) for _ in range(20)))
    busy = await chat.admin.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and usename in ('assistants_service', 'authenticator') and state <> 'idle'"
    )
    assert busy == 0


async def test_a_call_that_takes_too_long_is_given_up_and_the_next_one_works(
    way: Way, gateway: Gateway
) -> None:
    await way.add("trial", "begin perform pg_sleep(60); return '1'; end")
    with pytest.raises(DatabaseUnavailable):
        await gateway.call("engine.trial", {})
    assert await claim(gateway) == []


@pytest.mark.parametrize("way", ["direct", "through a pooler"], indirect=True)
async def test_a_call_that_takes_too_long_does_not_go_on_in_the_server(
    chat: Chat, way: Way, gateway: Gateway
) -> None:
    # Over the Data API the server's own limit ends it, eight seconds on a hosted project.
    await way.add("trial", "begin perform pg_sleep(60); return '1'; end")
    with pytest.raises(DatabaseUnavailable):
        await gateway.call("engine.trial", {})

    async def is_over() -> bool:
        sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        return bool(await chat.admin.fetchval(sql) == 0)

    await until(is_over, within_s=20)


async def test_ids_may_be_text(chat: Chat, gateway: Gateway) -> None:
    await chat.ada.say(await chat.ada.start_session(), "Hello")
    (found,) = await claim(gateway)
    assert UUID(found["run_id"])
    held = {"p_run": found["run_id"], "p_worker": "w", "p_fence": 1}
    history = await gateway.call("engine.run_history", held)
    assert history["messages"][-1]["content"] == text("Hello")
