-- Purpose:   a run whose question is in a batch waits for it.
-- Guarantee: that wait is no part of turn_wait_s, and stands before no other run of the requester; an
--            answer that lands meanwhile is not slept through.
-- Caller:    workers, as members of assistants_engine. Redefines engine.defer_run (006210) and
--            engine.next_turn (006200), as they were but for batches.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.batch_wait(p_run uuid) returns double precision
language sql
volatile -- what has landed since the statement began counts
security invoker
set search_path = ''
begin atomic
    select extract(epoch from min(i.created_at) - clock_timestamp()) + min(s.batch_wait_s)
    from engine.batch_items as i
    cross join engine.settings as s
    where
        i.run_id = p_run and i.state in ('queued', 'sent')
        and i.created_at > clock_timestamp() - make_interval(secs => s.batch_wait_s);
end;
comment on function engine.batch_wait(uuid) is
'For how many seconds the run still waits for its batch; null where it waits for none.';

create function engine.has_landed(p_run uuid, p_since timestamptz) returns boolean
language sql
volatile -- what has landed since the statement began counts
security invoker
set search_path = ''
begin atomic
    select
        exists(
            select from engine.batch_items as i
            cross join engine.settings as s
            where
                i.run_id = p_run
                and coalesce(i.ended_at, i.created_at + make_interval(secs => s.batch_wait_s))
                between p_since and clock_timestamp()
        );
end;
comment on function engine.has_landed(uuid, timestamptz) is
'Whether a question of the run has been answered, or has waited long enough, since then.';
revoke all on function engine.batch_wait(uuid), engine.has_landed(uuid, timestamptz)
from public, anon, authenticated, service_role;

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
    v_batch_s double precision;
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
    if engine.has_landed(p_run, v_run.expires_at - pg_catalog.make_interval(secs => v_set.run_ttl_s)) then
        v_batch_s := 0.01;
    else
        v_batch_s := engine.batch_wait(p_run);
    end if;
    if v_batch_s is not null then
        v_after_s := v_batch_s;
        v_spent_s := 0;
    elsif v_left_s <= 0 then
        return '{"state": "overdue"}'::jsonb;
    else
        -- NaN is more than any number.
        v_after_s := least(v_after_s, v_left_s);
        v_spent_s := v_spent_s + v_after_s;
    end if;
    perform engine.store_events(p_run, p_events);
    update engine.runs r
    set status = 'ready', worker = null, lease_until = null,
        waited_s = r.waited_s + v_spent_s,
        -- What may wait goes behind what may not, also when its answer is there.
        priority = case when v_batch_s is null then r.priority else greatest(r.priority, 10) end,
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
and no later than it may wait; or when the batch of its question is answered, at once if it was
since the claim. Failures stay as they are. Overdue: it has waited too long in all, and nothing was
written. Stored: it was being cancelled, and has ended.';

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
        where
            r.requester_id = p_requester and r.status in ('ready', 'running')
            and not (r.is_early and r.priority >= 10)
        order by r.turn_at desc
        limit 60
    ) as o;
end;
comment on function engine.next_turn(text) is
'Where the next run of this requester queues: now, or behind the last that is ready or running, but no
more minutes ahead than there are such runs; what waits for a batch counts for nothing.';
