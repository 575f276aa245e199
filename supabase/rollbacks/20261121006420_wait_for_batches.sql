-- Purpose:   undoes that runs wait for batches.
-- Guarantee: those that wait are made at once, by asking their models directly.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

update engine.runs
set run_after = clock_timestamp(), turn_at = clock_timestamp()
where status = 'ready' and engine.batch_wait(id) is not null;

create or replace function engine.defer_run(
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

create or replace function engine.next_turn(p_requester text) returns timestamptz
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

drop function engine.has_landed(uuid, timestamptz);
drop function engine.batch_wait(uuid);
