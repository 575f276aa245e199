-- Purpose:   undoes %s
-- Guarantee: what these functions did before.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.find_messages(
    p_query text, p_session uuid, p_limit integer, p_before bigint
) returns setof uuid
language sql
stable
security definer -- under row-level security no index serves @@, which is not leakproof
set search_path = ''
begin atomic
    with wanted as materialized (
        select websearch_to_tsquery('simple', left(p_query, 1000)) as words
    ),

    found as materialized (
        select
            m.id,
            m.session_id,
            m.user_id,
            m.position
        from public.messages as m
        where
            engine.search_vector(m.user_id, m.content) @@ (
                select words && ('''' || engine.owner_lexeme((select engine.caller_id())) || '''')::tsquery
                from wanted
                where numnode(words) > 0
            )
    )

    select f.id
    from found as f
    where
        f.user_id = (select engine.caller_id())
        and (p_session is null or f.session_id = p_session)
        and (p_before is null or f.position < p_before)
    order by f.position desc
    limit least(greatest(p_limit, 0), 100);
end;

create or replace function engine.read_streams(p_cursors jsonb) returns jsonb
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

create or replace function engine.start_of_stream(p_session uuid) returns uuid
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
