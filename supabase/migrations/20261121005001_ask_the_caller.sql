-- Purpose:   the functions that ask who calls find it where policies do.
-- Guarantee: null for a token that does not count. They never raise: a Clerk id is no uuid.
-- Caller:    the engine's functions; policies on Storage.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.token_is_trusted() returns boolean
language sql
stable
security invoker
set search_path = ''
begin atomic
    select exists(select from engine.caller);
end;
comment on function engine.token_is_trusted() is
'Whether the token in use counts: of the issuer in engine.settings, not pending, clear about its user
and organisation.';

create or replace function engine.caller_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select c.id from engine.caller as c;
end;

create or replace function engine.caller_org_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select c.org_id from engine.caller as c;
end;
comment on function engine.caller_org_id() is
'The active organisation of the token in use (Clerk''s claims, version 1 or 2), or null.';

create function engine.caller_tenant() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select c.tenant_id from engine.caller as c;
end;
comment on function engine.caller_tenant() is
'Whose rows the caller reaches: the active organisation''s, else the caller''s own; or null.';

create function engine.caller_is_admin() returns boolean
language sql
stable
security invoker
set search_path = ''
begin atomic
    select coalesce((select c.is_admin from engine.caller as c), false);
end;
comment on function engine.caller_is_admin() is
'Whether the caller is an admin of the active organisation.';

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
        'pinned_issuer', (select p.issuer from engine.pinned_issuer p),
        'workers', (
            select pg_catalog.count(*) from engine.workers w
            where w.seen_at > pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => p_max_age_s)));
end
$$;
comment on function engine.readiness(double precision) is
'{"schema_version", "schema_versions", "token_issuer", "pinned_issuer", "workers"}: the newest migration,
or null, all of them, whose tokens count by the settings, and by the view that policies read, and how
many workers have reported within so many seconds.';

revoke all on function engine.caller_tenant(), engine.caller_is_admin()
from public, anon, authenticated, service_role;
