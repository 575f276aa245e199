-- Purpose:   streams: the events of a session, run by run, behind a reader's cursor.
-- Guarantee: a cursor (run, seq) always leads to the same events behind it, each once, in one order;
--            events that have been purged are told as a snapshot of their run.
-- Caller:    the service's streams, as members of assistants_engine; a browser, for its own sessions,
--            through public.read_stream.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- squawk-ignore ban-drop-function -- nothing released has called it
drop function engine.read_events(jsonb);

create function engine.snapshot_event(p_run engine.runs) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        jsonb_build_object(
            'run_id', p_run.id, 'seq', null, 'type', 'run.snapshot', 'status', p_run.status,
            'messages', coalesce(jsonb_agg(
                jsonb_build_object(
                    'message_id', m.id, 'content', m.content, 'status', m.status,
                    'reason', m.reason, 'error', m.error, 'ordinal', m.ordinal
                )
                order by m.position
            ), '[]')
        )
    from public.messages as m
    where m.session_id = p_run.session_id and m.run_id = p_run.id;
end;
comment on function engine.snapshot_event(engine.runs) is
'What stands for the events of a run that have been purged: its messages as they are.';

create function engine.read_streams(p_cursors jsonb) returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    -- A session's runs speak one after the other, so the order of events is (queued_no, seq).
    return (
        with given as materialized (
            select g.no as place, g.value ->> 'session_id' as session_id, s.id, s.user_id,
                r.id as run_id,
                case when r.session_id = s.id then r.queued_no else 0 end as queued_no,
                coalesce((g.value ->> 'after')::integer, 0) as after,
                -- Behind the live run others only wait, thousands perhaps.
                coalesce((select l.queued_no from engine.runs l where l.session_id = s.id
                    and l.status in ('ready', 'running', 'requires_action', 'cancelling')),
                    9223372036854775807) as live_no
            from pg_catalog.jsonb_array_elements(p_cursors) with ordinality as g (value, no)
            left join public.chat_sessions s on s.id = (g.value ->> 'session_id')::uuid
            left join engine.runs r on r.id = (g.value ->> 'run_id')::uuid
        )
        select coalesce(pg_catalog.jsonb_agg(case when g.id is not null then
            pg_catalog.jsonb_build_object('events', coalesce(u.events, '[]'), 'more', u.count = 500)
            end order by g.place), '[]')
        from given g
        left join lateral (
            select pg_catalog.jsonb_agg(n.event order by n.queued_no, n.seq) as events,
                pg_catalog.count(*) as count
            from (
                select r.queued_no, e.seq, pg_catalog.jsonb_build_object(
                    'run_id', r.id, 'seq', e.seq, 'type', e.type) || e.data as event
                from engine.runs r
                inner join engine.events e on e.run_id = r.id
                    and e.seq > case when r.id = g.run_id then g.after else 0 end
                where r.session_id = g.id and r.user_id = g.user_id
                and r.queued_no between g.queued_no and g.live_no
                union all
                select r.queued_no, 0, engine.snapshot_event(r)
                from engine.runs r
                where r.session_id = g.id and r.user_id = g.user_id
                and r.queued_no between g.queued_no and g.live_no and r.events_purged
                and not (r.id = g.run_id and g.after = 2147483647)
                order by 1, 2 limit 500
            ) n
        ) u on g.id is not null
    );
end
$$;
comment on function engine.read_streams(jsonb) is
'For each cursor {"session_id", "run_id", "after"}, in their order, {"events", "more"}: what comes
behind it, at most 500; null where the session is gone. Without a run: from the first one. After
2147483647: behind the whole run. The caller has checked who may read which session.';

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
engine.snapshot_event(engine.runs), engine.read_streams(jsonb), engine.start_of_stream(uuid),
engine.open_stream(uuid, text), public.read_stream(uuid, text)
from public, anon, authenticated, service_role;
grant execute on function engine.read_streams(jsonb) to assistants_engine;
grant execute on function engine.open_stream(uuid, text), public.read_stream(uuid, text)
to authenticated;
