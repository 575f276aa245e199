-- Purpose:   undoes that tokens are pinned to an issuer.
-- Guarantee: the caller is again whoever the token names.
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

create or replace function engine.caller_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select nullif((select auth.jwt()) ->> 'sub', '');
end;
comment on function engine.caller_id() is
'The Clerk user id of the token in use, or null. Never raises: a Clerk id is no uuid.';
revoke execute on function engine.caller_id() from authenticated;
drop function engine.token_is_trusted();
alter table engine.settings drop column token_issuer;
