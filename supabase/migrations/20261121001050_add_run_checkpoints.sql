-- Purpose:   what a worker writes on the way: events, checkpoints, parking, release.
-- Guarantee: each writes nothing unless the caller holds the newest fence.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.flush_events(p_worker text, p_batch jsonb) returns jsonb
language sql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
begin atomic
    with given as (
        -- An attempt of before may still have something to send: only the newest fence speaks.
        select distinct on (g.run_id)
            g.run_id,
            g.fence,
            g.events
        from jsonb_to_recordset(p_batch) as g (run_id uuid, fence bigint, events jsonb)
        order by g.run_id asc, g.fence desc
    ),

    mine as materialized (
        select r.id
        from engine.runs as r
        inner join given as g on r.id = g.run_id and r.fence = g.fence
        where r.worker = p_worker and r.status in ('running', 'cancelling')
    ),

    -- One run that somebody is changing must not hold up the streams of all others.
    held as materialized (
        select r.id
        from engine.runs as r
        inner join given as g on r.id = g.run_id and r.fence = g.fence
        where r.worker = p_worker and r.status in ('running', 'cancelling')
        order by r.id
        for share of r skip locked
    ),

    stored as (
        insert into engine.events (run_id, seq, type, data)
        select
            held.id,
            e.seq,
            e.type,
            e.data
        from held
        inner join given as g on held.id = g.run_id
        cross join jsonb_to_recordset(g.events) as e (seq integer, type text, data jsonb)
        on conflict do nothing
    )

    select
        jsonb_build_object(
            'lost', coalesce(jsonb_agg(g.run_id) filter (where mine.id is null), '[]'),
            'busy', coalesce(
                jsonb_agg(mine.id) filter (where mine.id is not null and held.id is null), '[]'
            )
        )
    from given as g
    left join mine on g.run_id = mine.id
    left join held on g.run_id = held.id;
end;
comment on function engine.flush_events(text, jsonb) is
'{"lost", "busy"}: the events of all of a worker''s runs [{"run_id", "fence", "events"}] in one
statement. Runs in "lost" belong to somebody else, those in "busy" somebody is changing: nothing of
theirs was stored.';

create function engine.checkpoint_run(
    p_run uuid, p_worker text, p_fence bigint, p_steps jsonb, p_text jsonb, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
begin
    if v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    end if;
    perform engine.store_events(p_run, p_events);
    perform engine.store_steps(p_run, p_steps);
    if p_text is not null and pg_catalog.jsonb_typeof(p_text) = 'object' then
        insert into public.messages (id, session_id, role, content, run_id, ordinal, starts_run)
        values ((p_text ->> 'message_id')::uuid, v_run.session_id, 'assistant',
            p_text -> 'content', p_run, (p_text ->> 'ordinal')::integer, false)
        on conflict (id) do nothing;
    end if;
    update engine.runs r
    set failures = 0, said_message_id = coalesce((p_text ->> 'message_id')::uuid, r.said_message_id)
    where r.id = p_run;
    return '{"state": "stored"}'::jsonb;
end
$$;
comment on function engine.checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb) is
'{"state": stored | lost | gone}: the steps, and a text {"message_id", "ordinal", "content"} said on
the way, will not be made again. Resets failures.';

create function engine.park_run(
    p_run uuid, p_worker text, p_fence bigint, p_steps jsonb, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
    v_calls jsonb;
begin
    if v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    elsif v_run.status = 'cancelling' then
        return engine.release_run(p_run, p_worker, p_fence, p_events);
    end if;
    perform engine.store_events(p_run, p_events);
    perform engine.store_steps(p_run, p_steps);
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'call_id', s.data -> 'call_id', 'name', s.data -> 'name',
        'arguments', s.data -> 'arguments') order by s.position) into v_calls
    from engine.run_steps s where s.run_id = p_run and s.status = 'requires_action';
    update engine.runs r
    set status = 'requires_action', worker = null, lease_until = null,
        required_action = pg_catalog.jsonb_build_object(
            'type', 'submit_tool_outputs', 'tool_calls', v_calls),
        expires_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => s.run_ttl_s)
    from engine.settings s where r.id = p_run;
    perform engine.append_event(
        p_run, 'run.requires_action', pg_catalog.jsonb_build_object('tool_calls', v_calls));
    return '{"state": "stored"}'::jsonb;
end
$$;
comment on function engine.park_run(uuid, text, bigint, jsonb, jsonb) is
'{"state": stored | lost | gone}: the calls are stored and the run waits, without a lease, for their
outputs until expires_at. Touches neither fence nor failures.';

create function engine.release_run(
    p_run uuid, p_worker text, p_fence bigint, p_events jsonb
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_run engine.runs := engine.hold_run(p_run, p_worker, p_fence);
begin
    if v_run.id is null then
        return '{"state": "gone"}'::jsonb;
    elsif v_run.status = 'lost' then
        return '{"state": "lost"}'::jsonb;
    end if;
    perform engine.store_events(p_run, p_events);
    if v_run.status = 'cancelling' then
        perform engine.end_unattended(v_run, 'cancelled', v_run.cancel_reason, null);
        perform engine.promote(v_run.session_id);
        return '{"state": "stored"}'::jsonb;
    end if;
    update engine.runs r
    set status = 'ready', worker = null, lease_until = null,
        run_after = pg_catalog.clock_timestamp()
    where r.id = p_run;
    perform engine.wake('run');
    return '{"state": "stored"}'::jsonb;
end
$$;
comment on function engine.release_run(uuid, text, bigint, jsonb) is
'{"state": stored | lost | gone}: a draining worker gives the run back; failures stay as they are.';

revoke all on function
engine.hold_run(uuid, text, bigint), engine.store_events(uuid, jsonb),
engine.store_steps(uuid, jsonb),
engine.finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
engine.fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
engine.flush_events(text, jsonb),
engine.checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
engine.park_run(uuid, text, bigint, jsonb, jsonb), engine.release_run(uuid, text, bigint, jsonb)
from public, anon, authenticated, service_role;
grant execute on function
engine.finish_run(uuid, text, bigint, text, uuid, jsonb, jsonb, text, text, jsonb),
engine.fail_run(uuid, text, bigint, text, double precision, uuid, jsonb, jsonb, jsonb),
engine.flush_events(text, jsonb),
engine.checkpoint_run(uuid, text, bigint, jsonb, jsonb, jsonb),
engine.park_run(uuid, text, bigint, jsonb, jsonb), engine.release_run(uuid, text, bigint, jsonb)
to assistants_engine;
