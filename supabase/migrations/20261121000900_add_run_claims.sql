-- Purpose:   claim, heartbeat, history, reap: how a worker gets runs and keeps them.
-- Guarantee: a run is handed to one worker at a time; every claim increments the fence.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.backoff(p_failures integer) returns interval
language sql
volatile
security invoker
set search_path = ''
begin atomic
select
    make_interval(
        secs => least(s.backoff_limit_s, s.backoff_s * 2.0 ^ least(p_failures - 1, 30))
        * (0.5 + random())
    )
from engine.settings as s;
end;
comment on function engine.backoff(integer) is
'How long to wait after so many failures in a row: doubling, capped, times 0.5 to 1.5.';

create function engine.reap_run(p_run engine.runs) returns text
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_max integer := (select s.max_failures from engine.settings s);
begin
    if p_run.status = 'requires_action' then
        perform engine.end_unattended(p_run, 'expired', null, 'expired');
    elsif p_run.status = 'cancelling' then
        perform engine.end_unattended(p_run, 'cancelled', p_run.cancel_reason, null);
    elsif p_run.failures + 1 >= v_max then
        perform engine.end_unattended(p_run, 'failed', null, 'worker_lost');
    else
        update engine.runs r
        set status = 'ready', worker = null, lease_until = null, failures = r.failures + 1,
            run_after = pg_catalog.clock_timestamp() + engine.backoff(r.failures + 1)
        where r.id = p_run.id;
        return 'retried';
    end if;
    perform engine.promote(p_run.session_id);
    return 'ended';
end
$$;
comment on function engine.reap_run(engine.runs) is
'The run that nobody holds any more is ready again, or has ended. Its session is locked.';

create function engine.reap_runs(p_limit integer) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
as $$
declare
    v_candidate record;
    v_run engine.runs;
    v_counts jsonb := '{"retried": 0, "ended": 0, "postponed": 0}';
    v_what text;
begin
    for v_candidate in
        (select r.id, r.session_id from engine.runs r
            where r.status in ('running', 'cancelling')
            and r.lease_until < pg_catalog.statement_timestamp() limit p_limit)
        union all
        (select r.id, r.session_id from engine.runs r
            where r.status = 'requires_action'
            and r.expires_at < pg_catalog.statement_timestamp() limit p_limit)
    loop
        perform from public.chat_sessions s where s.id = v_candidate.session_id
        for no key update skip locked;
        continue when not found;
        select r.* into v_run from engine.runs r
        where r.id = v_candidate.id and (
            (r.status in ('running', 'cancelling')
                and r.lease_until < pg_catalog.statement_timestamp())
            or (r.status = 'requires_action' and r.expires_at < pg_catalog.statement_timestamp()))
        for no key update skip locked;
        continue when not found;
        begin
            v_what := engine.reap_run(v_run);
        exception when others then
            -- One row that cannot be ended must not stop the queue of everybody.
            update engine.runs r
            set lease_until = r.lease_until + interval '60 s',
                expires_at = r.expires_at + interval '60 s'
            where r.id = v_run.id;
            v_what := 'postponed';
        end;
        v_counts := pg_catalog.jsonb_set(
            v_counts, array[v_what], pg_catalog.to_jsonb((v_counts ->> v_what)::integer + 1));
    end loop;
    return v_counts;
end
$$;
comment on function engine.reap_runs(integer) is
'{"retried", "ended", "postponed"}: takes back expired leases and ends expired waits for tool outputs. Candidates
are read without locks, then locked session before run; what is locked is left for the next round.';

create function engine.claim_runs(
    p_worker text, p_limit integer, p_lease_s double precision,
    p_excluded_models text [] default '{}'
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
    return coalesce(v_claims, '[]');
end
$$;
comment on function engine.claim_runs(text, integer, double precision, text []) is
'List of claims {"run_id", "fence", …}: up to p_limit ready runs, oldest first within a priority, are
running under a lease of p_lease_s seconds. Models in p_excluded_models are left for later.';

create function engine.heartbeat_runs(p_worker text, p_runs jsonb, p_lease_s double precision)
returns jsonb
language sql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
begin atomic
with given as (
    select g.run_id, g.fence
    from jsonb_to_recordset(p_runs) as g (run_id uuid, fence bigint)
),

held as materialized (
    select r.id
    from engine.runs as r
    inner join given as g on r.id = g.run_id and r.fence = g.fence
    where r.worker = p_worker and r.status in ('running', 'cancelling')
    order by r.id
    for no key update of r
),

extended as (
    update engine.runs as r
    set lease_until = clock_timestamp() + make_interval(secs => p_lease_s)
    from held
    where r.id = held.id
    returning r.id, r.status, r.cancel_reason, r.expires_at
)

select
    jsonb_build_object(
        'lost', coalesce(jsonb_agg(g.run_id) filter (where e.id is null), '[]'),
        'cancelled', coalesce(
            jsonb_agg(jsonb_build_object('run_id', e.id, 'reason', e.cancel_reason))
            filter (where e.status = 'cancelling'), '[]'
        ),
        'expired', coalesce(
            jsonb_agg(e.id) filter (
                where e.status = 'running' and e.expires_at < clock_timestamp()
            ), '[]'
        )
    )
from given as g
left join extended as e on g.run_id = e.id;
end;
comment on function engine.heartbeat_runs(text, jsonb, double precision) is
'{"lost", "cancelled", "expired"}: the leases of the worker''s runs [{"run_id", "fence"}] are extended;
those in "lost" belong to somebody else by now.';
