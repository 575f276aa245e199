-- Purpose:   what a browser may ask of runs: cancel, regenerate, submit tool outputs.
-- Guarantee: the caller's ownership is checked first; a foreign and a missing id look alike.
-- Caller:    a browser, through the invoker functions in `public`. Those are bound to the functions
--            in `engine` when they are made, so a browser needs no usage of the schema.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.lock_own_run(p_run uuid) returns engine.runs
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_run engine.runs;
begin
    select r.* into v_run from engine.runs r
    where r.id = p_run and r.user_id = engine.caller_id();
    if v_run.id is null or engine.lock_session(v_run.session_id) is null then
        raise exception 'run not found, or not yours' using errcode = '42501';
    end if;
    select r.* into v_run from engine.runs r where r.id = p_run for no key update;
    return v_run;
end
$$;
comment on function engine.lock_own_run(uuid) is
'The caller''s run, with its session and itself locked. Raises the same 42501 for all others.';

create function engine.cancel_own_run(p_run uuid) returns void
language plpgsql
volatile
security definer -- a browser may not write engine.runs
set search_path = ''
as $$
begin
    perform engine.request_cancel((engine.lock_own_run(p_run)).id, 'cancelled');
end
$$;
comment on function engine.cancel_own_run(uuid) is
'The caller''s run is cancelled or being cancelled; a run that has ended stays as it is.';

create function engine.regenerate_own(p_message uuid) returns setof public.runs
language plpgsql
volatile
security definer -- a browser may not write engine.runs
set search_path = ''
as $$
declare
    v_asked public.messages;
    v_session public.chat_sessions;
    v_target uuid;
    v_run uuid;
begin
    select m.* into v_asked from public.messages m
    where m.id = p_message and m.user_id = engine.caller_id();
    v_session := engine.lock_session(v_asked.session_id);
    if v_session.id is null then
        raise exception 'message not found, or not yours' using errcode = '42501';
    elsif v_session.status = 'archived' then
        raise exception 'the session is archived' using errcode = 'PT409',
            hint = 'Set its status to active first.';
    end if;
    v_target := case v_asked.role when 'user' then v_asked.id else (
        select r.message_id from engine.runs r where r.id = v_asked.run_id) end;
    perform from public.messages m
    where m.session_id = v_session.id and m.id = v_target and m.role = 'user'
    for key share skip locked;
    if not found then
        raise exception 'there is no message of yours to answer again' using errcode = 'PT409';
    elsif exists (select from engine.runs r where r.session_id = v_session.id
        and r.message_id = v_target and r.ended_at is null) then
        raise exception 'the message is being answered' using errcode = 'PT409',
            hint = 'Wait for the run to end, or cancel it.';
    end if;
    v_run := engine.start_run(v_session, v_target, 'regenerate');
    return query select r.* from public.runs r where r.id = v_run;
end
$$;
comment on function engine.regenerate_own(uuid) is
'The new run for the caller''s message, or for the one that the given reply answers: a new branch.';

create function engine.submit_own_outputs(p_run uuid, p_outputs jsonb) returns void
language plpgsql
volatile
security definer -- a browser may not write engine.run_steps
set search_path = ''
as $$
declare
    v_run engine.runs := engine.lock_own_run(p_run);
    v_asked text [];
    v_given text [];
begin
    if v_run.status <> 'requires_action' then
        raise exception 'the run does not wait for tool outputs' using errcode = 'PT409';
    elsif pg_catalog.jsonb_typeof(p_outputs) is distinct from 'array'
        or p_outputs @? 'strict $[*] ? (@.type() != "object")'
        or not engine.fits(p_outputs, 1048576) then
        raise exception 'outputs are a list of objects: at most 1 MB, 64 levels, and numbers that a double holds' using errcode = '23514',
            hint = 'Example: [{"call_id": "call_1", "output": "42"}]';
    end if;
    select pg_catalog.array_agg(s.data ->> 'call_id' order by s.data ->> 'call_id') into v_asked
    from engine.run_steps s where s.run_id = p_run and s.status = 'requires_action';
    select pg_catalog.array_agg(o.call_id order by o.call_id) into v_given
    from pg_catalog.jsonb_to_recordset(p_outputs) as o (call_id text, output jsonb)
    where o.output is not null;
    if v_given is distinct from v_asked then
        raise exception 'one output is needed for each call, and no other'
            using errcode = '23514',
            hint = 'Calls: ' || pg_catalog.array_to_string(v_asked, ', ');
    end if;
    update engine.run_steps s
    set status = 'completed', updated_at = pg_catalog.clock_timestamp(),
        data = s.data || pg_catalog.jsonb_build_object('output', o.output)
    from pg_catalog.jsonb_to_recordset(p_outputs) as o (call_id text, output jsonb)
    where s.run_id = p_run and s.status = 'requires_action' and s.data ->> 'call_id' = o.call_id;
    update engine.runs r
    set status = 'ready', required_action = null, run_after = pg_catalog.clock_timestamp()
    where r.id = p_run;
    perform engine.wake('run');
end
$$;
comment on function engine.submit_own_outputs(uuid, jsonb) is
'The calls [{"call_id", "output"}] of the caller''s parked run have their outputs; it is ready.';

create function public.cancel_run(p_run uuid) returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.cancel_own_run(p_run);
    select r.* from public.runs as r where r.id = p_run;
end;
comment on function public.cancel_run(uuid) is
'Cancels one of your runs and returns it. 403 for a run that is not yours or not there.';

create function public.regenerate(p_message uuid) returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select r.* from engine.regenerate_own(p_message) as r;
end;
comment on function public.regenerate(uuid) is
'Answers one of your messages again, on a new branch, and returns the run. Takes the reply''s id too.';

create function public.submit_tool_outputs(p_run uuid, p_outputs jsonb) returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.submit_own_outputs(p_run, p_outputs);
    select r.* from public.runs as r where r.id = p_run;
end;
comment on function public.submit_tool_outputs(uuid, jsonb) is
'Gives your parked run the outputs of its tool calls, [{"call_id", "output"}], all at once.';

revoke all on function
engine.lock_own_run(uuid), engine.cancel_own_run(uuid), engine.regenerate_own(uuid),
engine.submit_own_outputs(uuid, jsonb), public.cancel_run(uuid), public.regenerate(uuid),
public.submit_tool_outputs(uuid, jsonb)
from public, anon, authenticated, service_role;
grant execute on function
engine.cancel_own_run(uuid), engine.regenerate_own(uuid), engine.submit_own_outputs(uuid, jsonb),
public.cancel_run(uuid), public.regenerate(uuid), public.submit_tool_outputs(uuid, jsonb)
to authenticated;
