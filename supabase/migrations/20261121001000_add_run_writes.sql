-- Purpose:   what a worker writes: checkpoints, events, the outcome, a failure, a release.
-- Guarantee: each is one transaction that writes nothing unless the caller holds the newest fence.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.hold_run(p_run uuid, p_worker text, p_fence bigint) returns engine.runs
language plpgsql
volatile
security invoker
set search_path = ''
-- Whoever holds the session for long must not hold the worker's connections, too.
set lock_timeout = '500ms'
as $$
declare
    v_run engine.runs;
begin
    select r.* into v_run from engine.runs r where r.id = p_run;
    if v_run.id is null or engine.lock_session(v_run.session_id) is null then
        return null;
    end if;
    select r.* into v_run from engine.runs r where r.id = p_run for no key update;
    if v_run.worker = p_worker and v_run.fence = p_fence
        and v_run.status in ('running', 'cancelling') then
        return v_run;
    end if;
    v_run.status := 'lost';
    return v_run;
end
$$;
comment on function engine.hold_run(uuid, text, bigint) is
'The run, with its session and itself locked. Null: it is gone. Status lost: the fence is another''s.
Raises 55P03 when that takes longer than half a second: try again.';

create function engine.store_events(p_run uuid, p_events jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.events (run_id, seq, type, data)
    select
        p_run,
        e.seq,
        e.type,
        e.data
    from jsonb_to_recordset(p_events) as e (seq integer, type text, data jsonb)
    on conflict do nothing;
end;
comment on function engine.store_events(uuid, jsonb) is
'Stores events [{"seq", "type", "data"}]; those that are stored already stay as they are.';

create function engine.store_steps(p_run uuid, p_steps jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.run_steps (run_id, position, type, status, data)
    select
        p_run,
        s.position,
        s.type,
        s.status,
        s.data
    from jsonb_to_recordset(p_steps) as s (position integer, type text, status text, data jsonb)
    on conflict do nothing;
end;
comment on function engine.store_steps(uuid, jsonb) is
'Stores steps [{"position", "type", "status", "data"}]; a step is written once.';

create function engine.finish_run(
    p_run uuid, p_worker text, p_fence bigint, p_status text, p_message_id uuid, p_content jsonb,
    p_usage jsonb, p_reason text, p_error text, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
    v_status text := p_status;
    v_reason text := p_reason;
begin
    if p_status not in ('completed', 'incomplete', 'failed', 'cancelled', 'expired') then
        raise exception 'a run does not end as %', p_status using errcode = '22023';
    elsif v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    elsif v_run.status = 'cancelling' then
        v_status := 'cancelled';
        v_reason := v_run.cancel_reason;
    end if;
    perform engine.store_events(p_run, p_events);
    perform engine.end_run(
        v_run, v_status, p_message_id, p_content, v_reason, p_error, p_usage);
    perform engine.promote(v_run.session_id);
    return pg_catalog.jsonb_build_object('state', 'stored', 'status', v_status);
end
$$;
comment on function engine.finish_run(
    uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb
) is
'{"state": stored | lost | gone, "status"}: the outcome row p_message_id, usage and the last events
are stored, the run has ended, the next one has its turn. A run being cancelled ends as cancelled.';

create function engine.fail_run(
    p_run uuid, p_worker text, p_fence bigint, p_error text, p_retry_after_s double precision,
    p_message_id uuid, p_content jsonb, p_usage jsonb, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
begin
    if v_run.status in ('running') and v_run.failures + 1 < (
        select s.max_failures from engine.settings s
    ) then
        perform engine.store_events(p_run, p_events);
        update engine.runs r
        set status = 'ready', worker = null, lease_until = null, failures = r.failures + 1,
            run_after = pg_catalog.clock_timestamp() + greatest(
                engine.backoff(r.failures + 1),
                pg_catalog.make_interval(secs => least(coalesce(p_retry_after_s, 0), 3600)))
        where r.id = p_run;
        return '{"state": "retrying"}'::jsonb;
    end if;
    return engine.finish_run(
        p_run, p_worker, p_fence, 'failed', p_message_id, p_content, p_usage, null, p_error,
        p_events);
end
$$;
comment on function engine.fail_run(
    uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb
) is
'{"state": retrying | stored | lost | gone}: after a retryable error the run is ready again behind a
backoff of at least p_retry_after_s, or at the cap it has failed with the text it had.';
