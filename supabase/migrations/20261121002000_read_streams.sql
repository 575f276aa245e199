-- Purpose:   streams: the events of a session, run by run, behind a reader's cursor.
-- Guarantee: a cursor (run, seq) always leads to the same events behind it, each once, in one order;
--            events that have been purged are told as a snapshot of their run.
-- Caller:    the service's streams, as members of assistants_engine.

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

create function engine.bytes_of(p_value jsonb) returns integer
language sql
immutable
security invoker
set search_path = ''
begin atomic
    select
        case
            -- What is this small is not compressed.
            when pg_column_size(p_value) < 1024 then pg_column_size(p_value)
            else octet_length(p_value::text)
        end;
end;
comment on function engine.bytes_of(jsonb) is
'About how many bytes the value has when it is written out.';

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
            pg_catalog.jsonb_build_object('events', coalesce(u.events, '[]'), 'more', u.more)
            end order by g.place), '[]')
        from given g
        left join lateral (
            select pg_catalog.jsonb_agg(n.event order by n.queued_no, n.seq)
                    filter (where n.bytes_before < 262144) as events,
                pg_catalog.count(*) = 500
                    or coalesce(pg_catalog.max(n.bytes_before) >= 262144, false) as more
            from (
                select f.*, coalesce(pg_catalog.sum(engine.bytes_of(f.event)) over (
                    order by f.queued_no, f.seq rows between unbounded preceding and 1 preceding
                ), 0) as bytes_before
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
                ) f
            ) n
        ) u on g.id is not null
    );
end
$$;
comment on function engine.read_streams(jsonb) is
'For each cursor {"session_id", "run_id", "after"}, in their order, {"events", "more"}: what comes
behind it, at most 500 and about 256 kB; null where the session is gone. Without a run: from the
first one. After 2147483647: behind the whole run. The caller has checked who may read which session.';

revoke all on function
engine.snapshot_event(engine.runs), engine.bytes_of(jsonb), engine.read_streams(jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.read_streams(jsonb) to assistants_engine;
