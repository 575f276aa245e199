-- Purpose:   where a reader of a session starts, or goes on.
-- Guarantee: row-level security decides who reads; an event of another session is one that is not
--            there. The answer leads on without a gap and without a repetition.
-- Caller:    a browser, for its own sessions; the service in its name.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.start_of_stream(p_session uuid) returns uuid
language sql
stable
security invoker
set search_path = ''
begin atomic
    select r.id
    from public.chat_sessions as s
    inner join engine.runs as r on s.id = r.session_id and s.user_id = r.user_id
    where
        s.id = p_session
        and r.queued_no < coalesce((
            select min(o.queued_no)
            from engine.runs as o
            where o.id = any(engine.open_runs(p_session))
        ), 9223372036854775807)
    order by r.queued_no desc
    limit 1;
end;
comment on function engine.start_of_stream(uuid) is
'The last run before the open ones; null if there is none.';

create function engine.open_stream(p_session uuid, p_last_event_id text) returns jsonb
language plpgsql
stable
security definer -- a browser has no rights on engine.events; public.read_stream checks the session
set search_path = ''
as $$
declare
    v_parts text[] := pg_catalog.regexp_match(
        p_last_event_id, '^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,9}|end)$');
    v_run uuid;
    v_after integer := 2147483647;
    v_resumed boolean;
begin
    if p_last_event_id is not null and v_parts is null then
        raise exception 'an event id is a run''s id, a colon, and a number or "end"'
            using errcode = '22023';
    end if;
    select r.id into v_run from engine.runs r
    where r.session_id = p_session and r.id = v_parts[1]::uuid;
    v_resumed := found;
    if v_resumed and v_parts[2] <> 'end' then
        v_after := v_parts[2]::integer;
    elsif not v_resumed then
        v_run := engine.start_of_stream(p_session);
    end if;
    return (engine.read_streams(pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
        'session_id', p_session, 'run_id', v_run, 'after', v_after))) -> 0)
        || pg_catalog.jsonb_build_object(
            'resumed', v_resumed,
            'last_event_id', case when v_resumed then p_last_event_id else v_run || ':end' end);
end
$$;
comment on function engine.open_stream(uuid, text) is
'{"resumed", "last_event_id", "events", "more"}: what comes behind the event; without one, or with one
that the session does not have, from its oldest open run on.';

create function public.read_stream(p_session_id uuid, p_last_event_id text default null)
returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    -- Row-level security decides whether there is a session.
    select engine.open_stream(s.id, p_last_event_id)
    from public.chat_sessions as s
    where s.id = p_session_id;
end;
comment on function public.read_stream(uuid, text) is
'What your session has streamed behind an event, {"resumed", "last_event_id", "events", "more"}; null
for a session that is not yours or not there.';

revoke all on function
engine.start_of_stream(uuid), engine.open_stream(uuid, text), public.read_stream(uuid, text)
from public, anon, authenticated, service_role;
grant execute on function engine.open_stream(uuid, text), public.read_stream(uuid, text)
to authenticated;
