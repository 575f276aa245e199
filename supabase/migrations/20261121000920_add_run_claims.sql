-- Purpose:   claim and heartbeat: how a worker gets runs and keeps them.
-- Guarantee: a run is handed to one worker at a time; every claim increments the fence.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.with_histories(p_claims jsonb, p_worker text, p_message_limit integer)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_claim jsonb;
    v_history jsonb;
    v_bytes bigint := 0; -- one user's long sessions must not make the claim of all too large
    v_all jsonb[] := array[]::jsonb[];
begin
    for v_claim in select c.value from pg_catalog.jsonb_array_elements(p_claims) c loop
        v_history := null;
        begin
            if v_bytes < 4194304 then
                v_history := engine.run_history(
                    (v_claim ->> 'run_id')::uuid, p_worker, (v_claim ->> 'fence')::bigint,
                    p_message_limit);
                v_bytes := v_bytes + coalesce(pg_catalog.octet_length(v_history::text), 0);
            end if;
        exception when others then
            v_history := null; -- a history that cannot be read is one run's failure, not the claim's
        end;
        v_all := v_all || (v_claim || pg_catalog.jsonb_build_object('history', v_history));
    end loop;
    return pg_catalog.to_jsonb(v_all);
end
$$;
comment on function engine.with_histories(jsonb, text, integer) is
'The claims, each with its "history" of at most p_message_limit messages; null where it failed,
and for the rest once 4 MB are told.';

create function engine.claim_runs(
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

create function engine.heartbeat_runs(p_worker text, p_runs jsonb, p_lease_s double precision)
returns jsonb
language sql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
begin atomic
    with given as (
        select
            g.run_id,
            max(g.fence) as fence
        from jsonb_to_recordset(p_runs) as g (run_id uuid, fence bigint)
        group by g.run_id
    ),

    mine as materialized (
        select r.id
        from engine.runs as r
        inner join given as g on r.id = g.run_id and r.fence = g.fence
        where r.worker = p_worker and r.status in ('running', 'cancelling')
    ),

    -- A row that somebody holds keeps its lease as it is until the next beat.
    held as materialized (
        select r.id
        from engine.runs as r
        inner join mine on r.id = mine.id
        where r.worker = p_worker and r.status in ('running', 'cancelling')
        order by r.id
        for no key update of r skip locked
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
            'lost', coalesce(jsonb_agg(g.run_id) filter (where mine.id is null), '[]'),
            'busy', coalesce(jsonb_agg(mine.id) filter (where e.id is null and mine.id is not null), '[]'),
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
    left join mine on g.run_id = mine.id
    left join extended as e on g.run_id = e.id;
end;
comment on function engine.heartbeat_runs(text, jsonb, double precision) is
'{"lost", "busy", "cancelled", "expired"}: the leases of the worker''s runs [{"run_id", "fence"}] are
extended. Those in "lost" belong to somebody else by now; those in "busy" somebody is changing, and
their leases are as they were.';

revoke all on function
engine.with_histories(jsonb, text, integer),
engine.claim_runs(text, integer, double precision, text[], integer),
engine.heartbeat_runs(text, jsonb, double precision)
from public, anon, authenticated, service_role;
grant execute on function
engine.claim_runs(text, integer, double precision, text[], integer),
engine.heartbeat_runs(text, jsonb, double precision)
to assistants_engine;
