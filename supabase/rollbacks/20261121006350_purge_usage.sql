-- Purpose:   undoes that housekeeping clears the ledger and the caches.
-- Guarantee: what it cleared before it clears still.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.purge(p_limit integer) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_session uuid;
    v_promoted integer := 0;
    v_events integer;
    v_admissions integer;
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
    delete from engine.admissions a
    using (
        select e.scope, e.id from engine.admissions e
        where greatest(
            e.minute_clear_at, e.day_clear_at, e.sessions_clear_at, e.assistants_clear_at
        ) < pg_catalog.clock_timestamp()
        limit p_limit
        for update skip locked) as empty
    where a.scope = empty.scope and a.id = empty.id;
    get diagnostics v_admissions = row_count;
    return pg_catalog.jsonb_build_object(
        'events', v_events, 'promoted', v_promoted, 'admissions', v_admissions);
end
$$;
comment on function engine.purge(integer) is
'{"events", "promoted", "admissions"}: events are gone an hour after their run''s end; a session with
waiting runs and no live one, which nothing should leave behind, goes on; users and organisations
whose buckets are empty are forgotten.';

drop function engine.purge_calls(integer);
