-- Purpose:   undoes that requesters have turns.
-- Guarantee: ready runs are claimed in the order in which they became ready.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

lock table engine.runs in access exclusive mode;

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

create or replace function engine.claim_runs(
    p_worker text, p_limit integer, p_lease_s double precision,
    p_excluded_models text[] default '{}', p_message_limit integer default 0
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_claims jsonb;
begin
    perform engine.reap_runs(16);
    with candidate as materialized (
        select r.id from engine.runs r
        where r.status = 'ready' and r.run_after <= pg_catalog.statement_timestamp()
        and r.model <> all (p_excluded_models)
        order by r.priority, r.run_after, r.queued_no
        limit p_limit
        for no key update skip locked
    ), claimed as (
        update engine.runs r
        set status = 'running', fence = r.fence + 1, worker = p_worker,
            lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_s),
            expires_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => s.run_ttl_s),
            started_at = coalesce(r.started_at, pg_catalog.clock_timestamp())
        from candidate c, engine.settings s
        where r.id = c.id
        returning r.*
    )
    select pg_catalog.jsonb_agg(engine.describe_claim(c) order by c.queued_no) into v_claims
    from claimed c;
    if p_message_limit > 0 and v_claims is not null then
        return engine.with_histories(v_claims, p_worker, p_message_limit);
    end if;
    return coalesce(v_claims, '[]');
end
$$;
comment on function engine.claim_runs(text, integer, double precision, text[], integer) is
'List of claims {"run_id", "fence", …}: up to p_limit ready runs, oldest first within a priority, are
running under a lease of p_lease_s seconds. Models in p_excluded_models are left for later. With
p_message_limit each claim carries its "history", which saves a round trip.';

drop function engine.next_turn(text);
drop trigger tell_early on engine.runs;
drop function engine.tell_early();
drop function engine.call_early_runs(integer);
-- squawk-ignore require-concurrent-index-deletion
drop index engine.runs_turn_idx, engine.runs_early_idx, engine.runs_requester_turn_idx;
-- squawk-ignore require-concurrent-index-creation
create index runs_ready_idx on engine.runs (priority, run_after, queued_no) where status = 'ready';
-- The release before knows nothing of the column.
-- squawk-ignore ban-drop-column
do $$
begin
    execute pg_catalog.format(
        'alter table engine.runs alter column session_id set statistics %1$s,'
        ' alter column assistant_id set statistics %1$s', -1);
end
$$;
alter table engine.runs drop column turn_at, drop column is_early;
