-- Purpose:   reading events; housekeeping; the schema's version.
-- Guarantee: a reader whose events are gone gets a snapshot; no session is left waiting for nothing.
-- Caller:    the service, as a member of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.read_events(p_cursors jsonb) returns jsonb
language sql
stable
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
    with given as (
        select
            g.run_id,
            coalesce(g.after, 0) as after
        from jsonb_to_recordset(p_cursors) as g (run_id uuid, after integer)
    ),

    found as (
        select
            g.run_id,
            g.after,
            r.status,
            r.events_purged
        from given as g
        inner join engine.runs as r on g.run_id = r.id
    )

    select
        coalesce(jsonb_agg(
            jsonb_build_object(
                'run_id', f.run_id,
                'status', f.status,
                'events', (
                    select
                        coalesce(jsonb_agg(
                            jsonb_build_object('seq', e.seq, 'type', e.type, 'data', e.data)
                            order by e.seq
                        ), '[]')
                    from (
                        select
                            e.seq,
                            e.type,
                            e.data
                        from engine.events as e
                        where e.run_id = f.run_id and e.seq > f.after
                        order by e.seq
                        limit 1000
                    ) as e
                ),
                'snapshot', case
                    when f.events_purged then (
                        select
                            coalesce(jsonb_agg(
                                jsonb_build_object(
                                    'message_id', m.id, 'content', m.content, 'status', m.status,
                                    'reason', m.reason, 'error', m.error
                                )
                                order by m.position
                            ), '[]')
                        from public.messages as m
                        where m.run_id = f.run_id
                    )
                end
            )
        ), '[]')
    from found as f;
end;
comment on function engine.read_events(jsonb) is
'For each cursor {"run_id", "after"} the events behind it, at most 1,000; for a run whose events have
been purged a snapshot of its messages instead. The caller has checked who may read which run.';

create function engine.purge(p_limit integer) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_session uuid;
    v_promoted integer := 0;
    v_events integer;
begin
    for v_session in
        select distinct r.session_id from engine.runs r
        where r.status = 'waiting' and not exists (
            select from engine.runs l where l.session_id = r.session_id
            and l.status in ('ready', 'running', 'requires_action', 'cancelling'))
        limit p_limit
    loop
        perform from public.chat_sessions s where s.id = v_session for no key update skip locked;
        continue when not found;
        perform engine.promote(v_session);
        v_promoted := v_promoted + 1;
    end loop;
    with purged as (
        update engine.runs r set events_purged = true
        where r.id in (
            select o.id from engine.runs o, engine.settings s
            where o.ended_at < pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => s.event_ttl_s)
            and not o.events_purged
            order by o.ended_at limit p_limit
            for no key update of o skip locked)
        returning r.id
    )
    delete from engine.events e using purged where e.run_id = purged.id;
    get diagnostics v_events = row_count;
    return pg_catalog.jsonb_build_object('events', v_events, 'promoted', v_promoted);
end
$$;
comment on function engine.purge(integer) is
'{"events", "promoted"}: events are gone an hour after their run''s end; a session with waiting runs
and no live one, which nothing should leave behind, goes on.';

create function engine.schema_version() returns text
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    return (select max(m.version) from supabase_migrations.schema_migrations m);
exception when undefined_table or invalid_schema_name then
    return null;
end
$$;
comment on function engine.schema_version() is
'The version of the newest migration that was applied, or null where none was recorded.';

revoke all on function
engine.read_events(jsonb), engine.purge(integer), engine.schema_version()
from public, anon, authenticated, service_role;
grant execute on function engine.read_events(jsonb), engine.purge(integer), engine.schema_version()
to assistants_engine;
