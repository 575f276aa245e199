-- Purpose:   undoes that readiness names all migrations.
-- Guarantee: it says what it said before.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.readiness(p_max_age_s double precision) returns jsonb
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
drop function engine.schema_versions();
