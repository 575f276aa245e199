-- Purpose:   the ends of runs that no worker ends, told to browsers that follow by Realtime.
-- Guarantee: only a hint: it never fails a write, and where there is no Realtime nothing happens.
-- Caller:    engine.end_unattended and engine.promote: cancelled, expired and abandoned runs.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.broadcast_ends(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_ends jsonb;
begin
    if pg_catalog.to_regprocedure('realtime.send(jsonb, text, text, boolean)') is null then
        return;
    end if;
    -- In the order of the stream; found by the index on ended_at.
    select pg_catalog.jsonb_agg(n.event order by n.queued_no) into v_ends
    from (
        select r.queued_no, pg_catalog.jsonb_build_object(
            'run_id', r.id, 'seq', e.seq, 'type', e.type) || e.data as event
        from engine.runs r
        cross join lateral (
            select l.seq, l.type, l.data from engine.events l
            where l.run_id = r.id order by l.seq desc limit 1
        ) e
        where r.session_id = p_session and not r.events_purged
        and r.ended_at >= pg_catalog.transaction_timestamp()
        order by r.ended_at desc limit 100
    ) n;
    if v_ends is not null then
        execute 'select realtime.send($1, $2, $3, true)'
        using pg_catalog.jsonb_build_object('events', v_ends),
            'events', 'session:' || p_session::text;
    end if;
exception when others then
    -- For the operator alone, and no text of the error.
    raise log 'end of a run not broadcast: SQLSTATE %', sqlstate;
end
$$;
comment on function engine.broadcast_ends(uuid) is
'Realtime sends the last events of the session''s runs that this transaction has ended, at commit, to
whoever follows the session. Never raises.';

create or replace function engine.tell_streams(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    perform engine.broadcast_ends(p_session);
    perform pg_catalog.pg_notify('assistants_events', p_session::text);
exception when others then
    null; -- a hint: its failure never fails the write that it announces
end
$$;
comment on function engine.tell_streams(uuid) is
'Tells at commit that the session has new events, where no worker will: services by a notification,
browsers by Realtime, where there is one.';

create or replace function engine.promote(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_run engine.runs;
    v_joined boolean;
    v_has_ended boolean := false;
begin
    for v_ended in 0..50 loop
        exit when exists (
            select from engine.runs r where r.session_id = p_session
            and r.status in ('ready', 'running', 'requires_action', 'cancelling'));
        select r.* into v_run from engine.runs r
        where r.session_id = p_session and r.status = 'waiting'
        order by r.queued_no limit 1
        for no key update;
        exit when not found;
        v_joined := engine.join_path(v_run);
        if v_joined and v_run.cancel_requested_at is null then
            update engine.runs r
            set status = 'ready', run_after = pg_catalog.clock_timestamp() where r.id = v_run.id;
            perform engine.wake('run');
        elsif v_ended < 50 then
            perform engine.end_run(v_run, 'cancelled', null, '[]',
                case when v_joined then v_run.cancel_reason else 'deleted' end, null, null);
            v_has_ended := true;
        else
            -- One transaction must not end thousands: the reaper goes on with this one.
            update engine.runs r
            set status = 'cancelling', lease_until = pg_catalog.clock_timestamp(),
                cancel_reason = case when v_joined then r.cancel_reason else 'deleted' end
            where r.id = v_run.id;
            perform engine.wake('run');
        end if;
    end loop;
    if v_has_ended then
        perform engine.tell_streams(p_session);
    end if;
end
$$;
comment on function engine.promote(uuid) is
'The session''s oldest waiting run is ready unless a live one holds the slot. Cancelled ones before it
have ended; after 50 of them the reaper takes over. Tells streams.';

revoke all on function engine.broadcast_ends(uuid) from public, anon, authenticated, service_role;
