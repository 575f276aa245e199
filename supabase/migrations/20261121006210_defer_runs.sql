-- Purpose:   a run that must wait until its model may be asked again waits in the queue.
-- Guarantee: waiting is no failure, and no part of the time to live, which begins anew with each claim;
--            but all waits of one run together are no longer than turn_wait_s.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.settings add column turn_wait_s integer not null default 3600
check (turn_wait_s between 0 and 86400);
comment on column engine.settings.turn_wait_s is
'How long a run may wait in all for models that are at their limit or down, before it ends as failed.';
alter table engine.runs add column waited_s double precision not null default 0;
comment on column engine.runs.waited_s is
'How long it was told to wait for models that are at their limit or down.';

create function engine.defer_run(
    p_run uuid, p_worker text, p_fence bigint, p_after_s double precision, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
    v_after_s double precision := greatest(coalesce(p_after_s, 1), 0.01);
    v_set engine.settings;
    v_spent_s double precision;
    v_left_s double precision;
begin
    if v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    elsif v_run.status = 'cancelling' then
        return engine.release_run(p_run, p_worker, p_fence, p_events);
    end if;
    select s.* into strict v_set from engine.settings s;
    -- Since this claim: each try takes its time as well.
    v_spent_s := greatest(0, v_set.run_ttl_s
        - extract(epoch from v_run.expires_at - pg_catalog.clock_timestamp()));
    v_left_s := v_set.turn_wait_s - v_run.waited_s - v_spent_s;
    if v_left_s <= 0 then
        return '{"state": "overdue"}'::jsonb;
    end if;
    -- NaN is more than any number.
    v_after_s := least(v_after_s, v_left_s);
    perform engine.store_events(p_run, p_events);
    update engine.runs r
    set status = 'ready', worker = null, lease_until = null,
        waited_s = r.waited_s + v_spent_s + v_after_s,
        run_after = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => v_after_s),
        -- Behind those that can be made meanwhile, or a claim would pass over it each time.
        turn_at = greatest(
            r.turn_at, pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => v_after_s)),
        expires_at = pg_catalog.clock_timestamp()
            + pg_catalog.make_interval(secs => v_after_s + v_set.run_ttl_s)
    where r.id = p_run;
    return '{"state": "deferred"}'::jsonb;
end
$$;
comment on function engine.defer_run(uuid, text, bigint, double precision, jsonb) is
'{"state": deferred | overdue | stored | lost | gone}: the run is ready again in p_after_s seconds,
and no later than it may wait; failures stay as they are. Overdue: it has waited too long in
all, and nothing was written. Stored: it was being cancelled, and has ended.';

create function public.service_defer_run(
    p_run uuid, p_worker text, p_fence bigint, p_after_s double precision, p_events jsonb
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.defer_run(p_run, p_worker, p_fence, p_after_s, p_events);
end;
comment on function public.service_defer_run(uuid, text, bigint, double precision, jsonb) is
'engine.defer_run over the Data API.';

revoke all on function
engine.defer_run(uuid, text, bigint, double precision, jsonb),
public.service_defer_run(uuid, text, bigint, double precision, jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.defer_run(uuid, text, bigint, double precision, jsonb)
to assistants_engine, service_role;
grant execute on function public.service_defer_run(uuid, text, bigint, double precision, jsonb)
to service_role;
