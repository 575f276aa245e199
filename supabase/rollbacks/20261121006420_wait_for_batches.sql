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
    if v_run.waited_s + v_spent_s + v_after_s > v_set.turn_wait_s then
        return '{"state": "overdue"}'::jsonb;
    end if;
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
'{"state": deferred | overdue | stored | lost | gone}: the run is ready again in p_after_s seconds;
failures stay as they are. Overdue: it has waited too long in all, and nothing was written. Stored: it
was being cancelled, and has ended.';

create or replace function engine.purge_calls(p_limit integer) returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_calls integer;
begin
    delete from engine.model_calls c using (
        select o.id from engine.model_calls o, engine.settings s
        where o.at < pg_catalog.statement_timestamp()
            - pg_catalog.make_interval(days => s.model_calls_kept_days)
        order by o.at limit p_limit for update of o skip locked) as old
    where c.id = old.id;
    get diagnostics v_calls = row_count;
    delete from engine.budget_reservations b using (
        select o.id from engine.budget_reservations o
        where o.expires_at < pg_catalog.statement_timestamp()
        limit p_limit for update skip locked) as old
    where b.id = old.id;
    delete from engine.spending s using (
        select o.scope, o.subject from engine.spending o
        where o.month < pg_catalog.date_trunc(
            'month', pg_catalog.statement_timestamp() at time zone 'UTC')::date
        limit p_limit for update skip locked) as old
    where s.scope = old.scope and s.subject = old.subject;
    return v_calls;
end
$$;
comment on function engine.purge_calls(integer) is
'Calls beyond their time are gone, and what was reserved or spent for another day and month.';

drop function engine.purge_batches(integer);
drop function engine.batch_wait(uuid);
