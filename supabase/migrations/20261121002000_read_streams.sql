-- Purpose:   streams: the events of a session, run by run, behind a reader's cursor.
-- Guarantee: a cursor (run, seq) always leads to the same events behind it, each once, in one order;
--            events that have been purged are told as a snapshot of their run.
-- Caller:    the service's streams, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- squawk-ignore ban-drop-function -- nothing released has called it
drop function engine.read_events(jsonb);

create function engine.bytes_of(p_value jsonb) returns integer
language sql
immutable
security invoker
set search_path = ''
begin atomic
    select
        case
            -- What is this small is not compressed; what is that large is large in any case.
            when pg_column_size(p_value) < 1024 then pg_column_size(p_value)
            when pg_column_size(p_value) < 131072 then octet_length(p_value::text)
            else 1048576
        end;
end;
comment on function engine.bytes_of(jsonb) is
'About how many bytes the value has when it is written out; 1 MB for all that is large.';

create function engine.snapshot_event(p_run uuid) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    with told as (
        select
            m.*,
            sum(engine.bytes_of(m.content)) over (order by m.position) as bytes
        from engine.runs as r
        inner join public.messages as m on r.session_id = m.session_id and r.id = m.run_id
        where r.id = p_run
    )

    select
        jsonb_build_object(
            'run_id', p_run, 'seq', null, 'type', 'run.snapshot',
            'status', (select r.status from engine.runs as r where r.id = p_run),
            'messages', coalesce(jsonb_agg(
                jsonb_build_object(
                    'message_id', t.id, 'status', t.status, 'reason', t.reason, 'error', t.error,
                    'ordinal', t.ordinal,
                    'content', case when t.bytes <= 65536 then t.content end
                )
                order by t.position
            ), '[]')
        )
    from told as t;
end;
comment on function engine.snapshot_event(uuid) is
'What stands for the events of a run that have been purged: its messages as they are. Behind 64 kB
their content is null: it is read from the rows.';

create function engine.read_streams(p_cursors jsonb) returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    -- A session's runs speak one after the other, so the order of events is (queued_no, seq). Ten
    -- runs at a time and 500 events of each are looked at, whatever lies behind them.
    return (
        with given as materialized (
            select g.no as place, s.id, s.user_id, r.id as run_id,
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
            select pg_catalog.jsonb_agg(w.event order by w.queued_no, w.seq)
                    filter (where w.bytes_before < 262144) as events,
                coalesce(pg_catalog.count(*) = 500 or pg_catalog.max(w.runs) = 10
                    or pg_catalog.max(w.bytes_before) >= 262144, false) as more
            from (
                select n.*, coalesce(pg_catalog.sum(engine.bytes_of(n.event)) over (
                    order by n.queued_no, n.seq rows between unbounded preceding and 1 preceding
                ), 0) as bytes_before
                from (
                    select f.queued_no, f.seq, f.runs, case when f.type is null
                        then engine.snapshot_event(f.run_id)
                        else pg_catalog.jsonb_build_object(
                            'run_id', f.run_id, 'seq', f.seq, 'type', f.type) || f.data
                        end as event
                    from (
                        select t.queued_no, t.runs, t.id as run_id, e.seq, e.type, e.data
                        from (
                            select r.id, r.queued_no, r.events_purged,
                                pg_catalog.count(*) over () as runs
                            from (
                                select b.id, b.queued_no, b.events_purged from engine.runs b
                                where b.session_id = g.id and b.user_id = g.user_id
                                and b.queued_no between g.queued_no and g.live_no
                                order by b.queued_no limit 10
                            ) r
                        ) t
                        inner join lateral (
                            (select e.seq, e.type, e.data from engine.events e
                            where e.run_id = t.id
                            and e.seq > case when t.id = g.run_id then g.after else 0 end
                            order by e.seq limit 500)
                            union all
                            select 0, null, null where t.events_purged
                            and not (t.id = g.run_id and g.after = 2147483647)
                        ) e on true
                        order by t.queued_no, e.seq limit 500
                    ) f
                ) n
            ) w
        ) u on g.id is not null
    );
end
$$;
comment on function engine.read_streams(jsonb) is
'For each cursor {"session_id", "run_id", "after"}, in their order, {"events", "more"}: what comes
behind it, at most 500, about 256 kB and of ten runs; null where the session is gone. Without a run:
from the first one. After 2147483647: behind the whole run. The caller has checked who may read
which session.';

revoke all on function
engine.snapshot_event(uuid), engine.bytes_of(jsonb), engine.read_streams(jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.read_streams(jsonb) to assistants_engine;
