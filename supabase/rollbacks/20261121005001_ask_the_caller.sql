-- Purpose:   undoes that the functions which ask who calls find it where policies do.
-- Guarantee: the caller is again whoever the token names, whatever organisation it names.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

drop function engine.caller_tenant();
drop function engine.caller_is_admin();

create or replace function engine.token_is_trusted() returns boolean
language sql
stable
security definer -- a browser may not read engine.settings
set search_path = ''
begin atomic
    select
        coalesce((select auth.jwt()) ->> 'sts', 'active') = 'active'
        and (s.token_issuer is null or (select auth.jwt()) ->> 'iss' is not distinct from s.token_issuer)
    from engine.settings as s;
end;

comment on function engine.token_is_trusted() is
'Whether the token in use is of the issuer in engine.settings, and not pending (Clerk''s `sts`).';

create or replace function engine.caller_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        case
            when (select engine.token_is_trusted()) then nullif((select auth.jwt()) ->> 'sub', '')
        end;
end;

create or replace function engine.caller_org_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        nullif(
            coalesce((select auth.jwt()) ->> 'org_id', (select auth.jwt()) -> 'o' ->> 'id'), ''
        );
end;

comment on function engine.caller_org_id() is
'The active Clerk organisation of the token in use (v1 `org_id` or v2 `o.id`), or null.';

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
        'token_issuer', (select s.token_issuer from engine.settings s),
        'workers', (
            select pg_catalog.count(*) from engine.workers w
            where w.seen_at > pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => p_max_age_s)));
end
$$;
comment on function engine.readiness(double precision) is
'{"schema_version", "schema_versions", "token_issuer", "workers"}: the newest migration, or null, all of
them, whose tokens count, or null, and how many workers have reported within so many seconds.';
