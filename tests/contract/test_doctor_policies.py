"""The wall is compared with the release: whatever differs is named, and where its truth is."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from backend.domain.checks import Check
from backend.integrations.supabase.gateway_asyncpg import AsyncpgGateway
from backend.integrations.supabase.token_issuer import pin_issuer
from backend.integrations.supabase.wall import check_wall
from backend.ports.clock import SystemClock
from backend.ports.gateway import Gateway
from tests.contract.examining import READ, SEES
from tests.support.cluster import Database

_ENTERS = "engine.find_messages(text,uuid,integer,bigint)"

# What somebody did by hand; what is found; what is said of it; and the file that knows better.
_DRIFTS = {
    "a policy that is gone": (
        f"drop policy {READ} on public.messages",
        SEES,
        "missing",
        "policies/messages.sql",
    ),
    "a policy that lets everybody in": (
        f"alter policy {READ} on public.messages using (true)",
        SEES,
        "using is true, and should be (tenant_id = ( SELECT c.tenant_id FROM engine.caller c))",
        "policies/messages.sql",
    ),
    "a policy with another check": (
        (
            'alter policy "members start sessions as themselves" on public.chat_sessions'
            " with check (true)"
        ),
        "policy public.chat_sessions: members start sessions as themselves",
        "check is true, and should be",
        "policies/chat_sessions.sql",
    ),
    "a policy for others": (
        f"alter policy {READ} on public.messages to public",
        SEES,
        'roles is ["public"], and should be ["authenticated"]',
        "policies/messages.sql",
    ),
    "a policy for every command": (
        (
            f"drop policy {READ} on public.messages; create policy {READ} on public.messages"
            " to authenticated using (tenant_id = (select c.tenant_id from engine.caller as c))"
        ),
        SEES,
        "command is *, and should be r",
        "policies/messages.sql",
    ),
    "a pin that binds nobody": (
        (
            'drop policy "only tokens of our issuer count" on engine.runs;'
            ' create policy "only tokens of our issuer count" on engine.runs to authenticated'
            " using (tenant_id = (select c.tenant_id from engine.caller as c))"
            " with check (tenant_id = (select c.tenant_id from engine.caller as c))"
        ),
        "policy engine.runs: only tokens of our issuer count",
        "permissive is true, and should be false",
        "policies/runs.sql",
    ),
    "a pin that is no longer the setting's": (
        (
            "create or replace view engine.pinned_issuer with (security_invoker = true) as"
            " select 'https://evil.example.com'::text as issuer"
        ),
        "view engine.pinned_issuer",
        "body is SELECT 'https://evil.example.com'::text AS issuer;, and should be SELECT NULL::text",
        "tell_tenants.sql",
    ),
    "somebody's own policy on our table": (
        "create policy mine on public.messages for select to anon using (true)",
        "policy public.messages: mine",
        "unknown, for anon: true",
        "Nothing in this release makes it",
    ),
    "row security that is off": (
        "alter table engine.events disable row level security",
        "table engine.events",
        "row_security is false, and should be true",
        "migrations/",
    ),
    "a table that is granted": (
        "grant select, truncate on public.messages to anon",
        "table public.messages",
        "anon may select, truncate, and should not",
        "policies/messages.sql",
    ),
    "a table that is granted no more": (
        "revoke delete on public.messages from authenticated",
        "table public.messages",
        "authenticated may not delete, and should",
        "policies/messages.sql",
    ),
    "a right that may be passed on": (
        "grant select on public.messages to authenticated with grant option",
        "table public.messages",
        "authenticated may select*, and should not",
        "policies/messages.sql",
    ),
    "a column that is granted": (
        "grant insert (role) on public.messages to authenticated",
        "column public.messages.role",
        "authenticated may insert, and should not",
        "policies/messages.sql",
    ),
    "a column of one's own that browsers may write": (
        (
            "alter table public.messages add column rank int;"
            " grant update (rank) on public.messages to anon"
        ),
        "column public.messages.rank",
        "unknown; anon may update",
        "",
    ),
    "a default that is another": (
        "alter table public.chat_sessions alter column user_id set default 'user_everybody'",
        "column public.chat_sessions.user_id",
        "default is 'user_everybody'::text, and should be",
        "migrations/",
    ),
    "a view with its owner's rights": (
        "alter view public.runs reset (security_invoker)",
        "view public.runs",
        'options is nothing, and should be ["security_invoker=true"]',
        "migrations/",
    ),
    "a view of other rows": (
        (
            "create or replace view public.runs with (security_invoker=true) as"
            " select id, session_id, user_id, org_id, message_id, assistant_id, model, origin, status,"
            " required_action, error, usage, queued_no, created_at, started_at, ended_at, expires_at"
            " from engine.runs"
        ),
        "view public.runs",
        "body is SELECT id",
        "migrations/",
    ),
    "a function that everybody may execute": (
        "grant execute on function engine.claim_runs to public",
        "function engine.claim_runs(text,integer,double precision,text[],integer)",
        "public may execute, and should not",
        "migrations/",
    ),
    "a definer that is none": (
        f"alter function {_ENTERS} security invoker",
        f"function {_ENTERS}",
        "definer is false, and should be true",
        "read_in_tenants.sql",
    ),
    "a definer that should be none": (
        "alter function public.cancel_run(uuid) security definer",
        "function public.cancel_run(uuid)",
        "definer is true, and should be false",
        "migrations/",
    ),
    "a search path that can be bent": (
        f"alter function {_ENTERS} reset search_path",
        f"function {_ENTERS}",
        'settings is nothing, and should be ["search_path=',
        "migrations/",
    ),
    "a function that does something else": (
        (
            "create or replace function engine.place_message() returns trigger language plpgsql"
            " security definer set search_path = '' as $$ begin return new; end $$"
        ),
        "function engine.place_message()",
        "its body is another",
        "write_in_tenants.sql",
    ),
    "a function of another owner": (
        "alter function engine.place_message() owner to supabase_admin",
        "function engine.place_message()",
        "owner is supabase_admin, and should be nothing",
        "migrations/",
    ),
    "a function behind one of our names": (
        "create function public.cancel_run(text) returns text language sql return $1",
        "function public.cancel_run(text)",
        "unknown",
        "Nothing in this release makes it",
    ),
    "a function in the engine": (
        "create function engine.mine() returns int language sql return 1",
        "function engine.mine()",
        "unknown",
        "",
    ),
    "a function that is gone": (
        "drop function public.regenerate(uuid)",
        "function public.regenerate(uuid)",
        "missing",
        "migrations/",
    ),
    "a trigger that is gone": (
        "drop trigger set_session_assistant on public.chat_sessions",
        "trigger public.chat_sessions: set_session_assistant",
        "missing",
        "migrations/",
    ),
    "a trigger that sleeps": (
        "alter table public.messages disable trigger place_message",
        "trigger public.messages: place_message",
        "enabled is D, and should be O",
        "migrations/20261121000850_attach_message_triggers.sql",
    ),
    "a constraint that is gone": (
        "alter table public.messages drop constraint messages_session_id_parent_id_fkey",
        "constraint public.messages: messages_session_id_parent_id_fkey",
        "missing",
        "migrations/",
    ),
    "a sequence that is granted": (
        "grant usage on sequence engine.message_positions to authenticated",
        "sequence engine.message_positions",
        "authenticated may usage, and should not",
        "migrations/",
    ),
    "a schema that is granted": (
        "grant usage on schema engine to authenticated",
        "schema engine",
        "authenticated may usage, and should not",
        "migrations/",
    ),
    "objects that browsers may make": (
        "grant create on schema public to public",
        "schema public",
        "public may create, and should not",
        "",
    ),
    "a restriction of Realtime that is gone": (
        'drop policy "only the service speaks in a session" on realtime.messages',
        "policy realtime.messages: only the service speaks in a session",
        "missing",
        "policies/realtime/messages.sql",
    ),
}
# Nothing of these is ours to judge.
_OF_THEIR_OWN = [
    "create table public.notes (id int, content text)",
    "create function public.greet() returns text language sql return 'hello'",
    "create policy theirs on realtime.messages for select to authenticated using (true)",
    "create schema theirs create table messages (id int)",
    "alter table public.messages add column rank int default 0",
    "alter table public.chat_sessions add constraint short check (length(title) < 900)",
    "drop schema realtime cascade",
    "alter table engine.runs set (fillfactor = 90)",
]


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    made = AsyncpgGateway(database.url(), SystemClock(), size=1, timeout_s=10, through_pooler=False)
    async with made:
        yield made


async def found_after(database: Database, gateway: Gateway, drift: str) -> list[Check]:
    database.execute(drift)
    return await check_wall(gateway, None)


async def test_a_migrated_database_has_no_drift(gateway: Gateway) -> None:
    (found,) = await check_wall(gateway, None)

    assert found.ok
    assert found.found.endswith("things are as this release has them")


async def test_the_issuer_that_the_settings_pin_is_none(
    database: Database, gateway: Gateway
) -> None:
    issuer = "https://it's.example.com"
    await pin_issuer(database.url(), issuer)

    (found,) = await check_wall(gateway, issuer)
    others = [await check_wall(gateway, other) for other in (None, "https://other.example.com")]

    assert found.ok, found
    assert [[it.name for it in other] for other in others] == [["view engine.pinned_issuer"]] * 2


@pytest.mark.parametrize("name", _DRIFTS)
async def test_a_drift_is_found_and_named(database: Database, gateway: Gateway, name: str) -> None:
    drift, thing, said, place = _DRIFTS[name]

    found = {check.name: check for check in await found_after(database, gateway, drift)}

    assert found[thing].level == "fail"
    assert said in found[thing].found
    assert place in found[thing].advice
    assert len(found) == 1


@pytest.mark.parametrize("theirs", _OF_THEIR_OWN)
async def test_what_is_the_users_own_is_left_alone(
    database: Database, gateway: Gateway, theirs: str
) -> None:
    (found,) = await found_after(database, gateway, theirs)

    assert found.ok, found


async def test_a_trigger_of_ones_own_on_our_table_is_a_warning(
    database: Database, gateway: Gateway
) -> None:
    (found,) = await found_after(
        database,
        gateway,
        "create function public.tell() returns trigger language plpgsql as"
        " $$ begin return null; end $$;"
        " create trigger tell after insert on public.messages execute function public.tell()",
    )

    assert (found.level, found.name) == ("warn", "trigger public.messages: tell")


async def test_a_table_that_lost_its_row_security_with_its_policies_is_two_findings(
    database: Database, gateway: Gateway
) -> None:
    found = await found_after(
        database,
        gateway,
        f"alter table public.messages disable row level security;"
        f"drop policy {READ} on public.messages",
    )

    assert [check.name for check in found] == [SEES, "table public.messages"]
