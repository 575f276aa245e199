-- Purpose:   readiness says which migrations were applied, not only which is the newest: in a history
--            that holds a project's own migrations, too, the newest one hides that one of ours is
--            missing.
-- Guarantee: what it said before, and more.
-- Caller:    the readiness probe and the doctor.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.schema_versions() returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    return (
        select coalesce(pg_catalog.jsonb_agg(m.version order by m.version), '[]')
        from supabase_migrations.schema_migrations m);
exception when undefined_table or invalid_schema_name then
    return '[]'::jsonb;
end
$$;
comment on function engine.schema_versions() is
'The versions of all migrations that were applied, this product''s and others, the oldest first.';

create or replace function engine.readiness(p_max_age_s double precision) returns jsonb
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    return pg_catalog.jsonb_build_object(
        'schema_version', engine.schema_version(),
        'schema_versions', engine.schema_versions(),
        'workers', (
            select pg_catalog.count(*) from engine.workers w
            where w.seen_at > pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => p_max_age_s)));
end
$$;
comment on function engine.readiness(double precision) is
'{"schema_version", "schema_versions", "workers"}: the newest migration, or null, all of them, and how
many workers have reported within so many seconds.';

revoke all on function engine.schema_versions() from public, anon, authenticated, service_role;
