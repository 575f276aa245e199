-- Purpose:   which workers are there, for whoever asks whether messages would be answered.
-- Guarantee: a worker counts from its first report until it says goodbye or falls silent; nothing
--            is decided by it, so that leases and fences stay the only truth about runs.
-- Caller:    workers and the readiness probe, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- No index on seen_at, and room in each page: a report then touches no index.
create table engine.workers (
    name text primary key check (length(name) between 1 and 200),
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table engine.workers is
'Workers that have lately said that they are there; a hint, never the base of a decision about runs.';
alter table engine.workers enable row level security;
revoke all on engine.workers from public, anon, authenticated, service_role;

create function engine.report_worker(p_worker text) returns void
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    -- The next report repeats what a crash takes with it.
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
    update engine.workers w set seen_at = pg_catalog.statement_timestamp()
    where w.name = p_worker;
    if found then
        return;
    end if;
    insert into engine.workers as w (name) values (p_worker)
    on conflict (name) do update set seen_at = pg_catalog.statement_timestamp();
    -- Names are never used again, so each newcomer clears away some of those that were killed.
    delete from engine.workers w where w.name in (
        select o.name from engine.workers o
        where o.seen_at < pg_catalog.statement_timestamp() - interval '1 day'
        limit 100 for update skip locked);
end
$$;
comment on function engine.report_worker(text) is
'The worker is there. Its first report also removes up to 100 workers that were silent for a day.';

create function engine.dismiss_worker(p_worker text) returns void
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    delete from engine.workers w where w.name = p_worker;
end
$$;
comment on function engine.dismiss_worker(text) is
'The worker has said goodbye; without effect for one that is not known.';

create function engine.readiness(p_max_age_s double precision) returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    return pg_catalog.jsonb_build_object(
        'schema_version', engine.schema_version(),
        'workers', (
            select pg_catalog.count(*) from engine.workers w
            where w.seen_at > pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => p_max_age_s)));
end
$$;
comment on function engine.readiness(double precision) is
'{"schema_version", "workers"}: the newest migration, or null, and how many workers have reported
within so many seconds.';

revoke all on function
engine.report_worker(text), engine.dismiss_worker(text), engine.readiness(double precision)
from public, anon, authenticated, service_role;
grant execute on function
engine.report_worker(text), engine.dismiss_worker(text), engine.readiness(double precision)
to assistants_engine;
