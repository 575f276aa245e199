-- Purpose:   one requester's burst does not starve the others.
-- Guarantee: each further run of a requester that is ready or running queues as if it had been asked a
--            minute later, so others pass it; nobody waits behind more than the newcomers of so many
--            minutes. A claim reads the index in that order and no more of it than it takes: runs that
--            wait for another try, or for their turn at a model, are not in it.
-- Caller:    workers; whatever gives a run its turn.

set lock_timeout = '5s';
set statement_timeout = '60s';

lock table engine.runs in access exclusive mode;
alter table engine.runs add column turn_at timestamptz not null default now();
comment on column engine.runs.turn_at is
'The order among ready runs of one priority: when it became ready, a minute later for each run that
its requester had ready or running then. Says nothing of when: an idle worker takes it at once.';
alter table engine.runs add column is_early boolean not null default false;
comment on column engine.runs.is_early is
'Its run_after lay ahead when it was set: nobody looks at it among ready runs until a claim has found
that its time has come.';
update engine.runs set turn_at = run_after, is_early = run_after > clock_timestamp()
where ended_at is null;

-- How often one of them occurs must not choose the plan: what another's costs would tell its size.
alter table engine.runs alter column session_id set statistics 0, alter column assistant_id set statistics 0;

-- squawk-ignore require-concurrent-index-creation
create index runs_turn_idx on engine.runs (priority, turn_at, queued_no)
where status = 'ready' and not is_early;
-- squawk-ignore require-concurrent-index-creation
create index runs_early_idx on engine.runs (run_after) where status = 'ready' and is_early;
-- squawk-ignore require-concurrent-index-creation
create index runs_requester_turn_idx on engine.runs (requester_id, turn_at)
where status in ('ready', 'running');
-- squawk-ignore require-concurrent-index-deletion
drop index engine.runs_ready_idx;

create function engine.tell_early() returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    new.is_early := not new.is_early;
    return new;
end
$$;
comment on function engine.tell_early() is 'Trigger: whether run_after lies ahead.';
create trigger tell_early before insert or update of run_after on engine.runs
for each row when (new.is_early <> (new.run_after > pg_catalog.clock_timestamp()))
execute function engine.tell_early();

create function engine.call_early_runs(p_limit integer) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    update engine.runs as r set is_early = false
    where r.ctid = any(array(
        select e.ctid from engine.runs as e
        where e.status = 'ready' and e.is_early and e.run_after <= statement_timestamp()
        order by e.run_after
        limit p_limit
        for no key update skip locked
    ));
end;
comment on function engine.call_early_runs(integer) is
'So many runs whose time has come stand among the ready ones, in the places that they have there.';

create function engine.next_turn(p_requester text) returns timestamptz
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select
        greatest(
            clock_timestamp(),
            least(
                max(o.turn_at) + interval '1 minute',
                clock_timestamp() + count(*) * interval '1 minute'
            )
        )
    from (
        select r.turn_at
        from engine.runs as r
        where r.requester_id = p_requester and r.status in ('ready', 'running')
        order by r.turn_at desc
        limit 60
    ) as o;
end;
comment on function engine.next_turn(text) is
'Where the next run of this requester queues: now, or behind the last that is ready or running, but no
more minutes ahead than there are such runs.';

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
            set status = 'ready', run_after = pg_catalog.clock_timestamp(),
                turn_at = engine.next_turn(r.requester_id)
            where r.id = v_run.id;
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
    -- More than are taken, so that they soon stand in order, however many are due at once.
    perform engine.call_early_runs(16 + 2 * p_limit);
    with candidate as materialized (
        select r.id from engine.runs r
        where r.status = 'ready' and not r.is_early
        and r.run_after <= pg_catalog.statement_timestamp()
        and r.model <> all (p_excluded_models)
        order by r.priority, r.turn_at, r.queued_no
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
    select pg_catalog.jsonb_agg(
        engine.describe_claim(c) order by c.priority, c.turn_at, c.queued_no) into v_claims
    from claimed c;
    if p_message_limit > 0 and v_claims is not null then
        return engine.with_histories(v_claims, p_worker, p_message_limit);
    end if;
    return coalesce(v_claims, '[]');
end
$$;
comment on function engine.claim_runs(text, integer, double precision, text[], integer) is
'List of claims {"run_id", "fence", …}: up to p_limit ready runs are running under a lease of
p_lease_s seconds; those of the lowest priority first, among them requesters in turns. Models in
p_excluded_models are left for later. With p_message_limit each claim carries its "history", which
saves a round trip.';

revoke all on function
engine.tell_early(), engine.call_early_runs(integer), engine.next_turn(text)
from public, anon, authenticated, service_role;
