-- Purpose:   what a user may ask for, asked by the service in the user's name: for callers who have an
--            API key and so no token that the Data API knows.
-- Guarantee: one function for one operation, never "run this". In it role and claims are the user's,
--            so that grants and row-level security decide; afterwards they are the service's again.
--            Set by hand: a function's own `set role` would hold while it is made, too, for a role
--            that may not execute it.
-- Caller:    a service, over PostgREST, as `service_role`; it has verified who asks.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function public.act_as_read_stream(
    p_claims jsonb, p_session_id uuid, p_last_event_id text default null
) returns jsonb
language plpgsql
volatile -- stable ones may not set anything
security invoker
set search_path = ''
as $$
declare
    v_role text := pg_catalog.current_setting('role');
    v_claims text := pg_catalog.current_setting('request.jwt.claims', true);
    v_found jsonb;
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    perform pg_catalog.set_config('role', 'authenticated', true);
    v_found := public.read_stream(p_session_id, p_last_event_id);
    perform pg_catalog.set_config('role', v_role, true);
    perform pg_catalog.set_config('request.jwt.claims', v_claims, true);
    return v_found;
end
$$;
comment on function public.act_as_read_stream(jsonb, uuid, text) is
'public.read_stream as the user whose claims these are.';

create function public.act_as_cancel_run(p_claims jsonb, p_run uuid) returns setof public.runs
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_role text := pg_catalog.current_setting('role');
    v_claims text := pg_catalog.current_setting('request.jwt.claims', true);
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    perform pg_catalog.set_config('role', 'authenticated', true);
    return query select r.* from public.cancel_run(p_run) r;
    perform pg_catalog.set_config('role', v_role, true);
    perform pg_catalog.set_config('request.jwt.claims', v_claims, true);
end
$$;
comment on function public.act_as_cancel_run(jsonb, uuid) is
'public.cancel_run as the user whose claims these are.';

create function public.act_as_regenerate(p_claims jsonb, p_message uuid) returns setof public.runs
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_role text := pg_catalog.current_setting('role');
    v_claims text := pg_catalog.current_setting('request.jwt.claims', true);
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    perform pg_catalog.set_config('role', 'authenticated', true);
    return query select r.* from public.regenerate(p_message) r;
    perform pg_catalog.set_config('role', v_role, true);
    perform pg_catalog.set_config('request.jwt.claims', v_claims, true);
end
$$;
comment on function public.act_as_regenerate(jsonb, uuid) is
'public.regenerate as the user whose claims these are.';

create function public.act_as_submit_tool_outputs(p_claims jsonb, p_run uuid, p_outputs jsonb)
returns setof public.runs
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_role text := pg_catalog.current_setting('role');
    v_claims text := pg_catalog.current_setting('request.jwt.claims', true);
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    perform pg_catalog.set_config('role', 'authenticated', true);
    return query select r.* from public.submit_tool_outputs(p_run, p_outputs) r;
    perform pg_catalog.set_config('role', v_role, true);
    perform pg_catalog.set_config('request.jwt.claims', v_claims, true);
end
$$;
comment on function public.act_as_submit_tool_outputs(jsonb, uuid, jsonb) is
'public.submit_tool_outputs as the user whose claims these are.';

create function public.act_as_search_messages(
    p_claims jsonb, p_query text, p_session uuid default null,
    p_limit integer default 20, p_before bigint default null
) returns setof public.messages
language plpgsql
volatile -- stable ones may not set anything
security invoker
set search_path = ''
as $$
declare
    v_role text := pg_catalog.current_setting('role');
    v_claims text := pg_catalog.current_setting('request.jwt.claims', true);
begin
    perform pg_catalog.set_config('request.jwt.claims', p_claims::text, true);
    perform pg_catalog.set_config('role', 'authenticated', true);
    return query
    select m.* from public.search_messages(p_query, p_session, p_limit, p_before) m;
    perform pg_catalog.set_config('role', v_role, true);
    perform pg_catalog.set_config('request.jwt.claims', v_claims, true);
end
$$;
comment on function public.act_as_search_messages(jsonb, text, uuid, integer, bigint) is
'public.search_messages as the user whose claims these are.';

revoke all on function
public.act_as_read_stream(jsonb, uuid, text), public.act_as_cancel_run(jsonb, uuid),
public.act_as_regenerate(jsonb, uuid), public.act_as_submit_tool_outputs(jsonb, uuid, jsonb),
public.act_as_search_messages(jsonb, text, uuid, integer, bigint)
from public, anon, authenticated, service_role;
grant execute on function
public.act_as_read_stream(jsonb, uuid, text), public.act_as_cancel_run(jsonb, uuid),
public.act_as_regenerate(jsonb, uuid), public.act_as_submit_tool_outputs(jsonb, uuid, jsonb),
public.act_as_search_messages(jsonb, text, uuid, integer, bigint)
to service_role;
