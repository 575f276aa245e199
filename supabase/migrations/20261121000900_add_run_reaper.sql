-- Purpose:   taking back runs that nobody holds any more.
-- Guarantee: every run whose worker is lost goes on or ends; one bad row never stops the queue.
-- Caller:    claim_runs; workers, as members of assistants_engine.

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
    v_counts jsonb := '{"retried": 0, "ended": 0, "postponed": 0}'::jsonb;
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
'{"retried", "ended", "postponed"}: takes back expired leases and ends expired waits for tool
outputs. Candidates are read without locks, then locked session before run; what somebody else has
locked is left for the next round.';

revoke all on function
engine.backoff(integer), engine.reap_run(engine.runs), engine.reap_runs(integer)
from public, anon, authenticated, service_role;
grant execute on function engine.reap_runs(integer) to assistants_engine;
