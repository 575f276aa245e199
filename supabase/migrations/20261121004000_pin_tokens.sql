-- Purpose:   which tokens count at all: of the operator's issuer alone, and of users who have finished
--            signing in. Supabase checks neither, and its own Auth makes tokens of the same role.
-- Guarantee: asked once a statement. Whatever a token lets somebody do, it lets them do nothing here
--            unless it counts, in policies and in the functions behind them.
-- Caller:    policies, as whoever asks; engine.caller_id().

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.settings
add column token_issuer text check (token_issuer ~ '^https?://[^/[:space:]]+$');
comment on column engine.settings.token_issuer is
'The claim `iss` that a token must have, such as https://clerk.example.com; null takes any.';

create function engine.token_is_trusted() returns boolean
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
comment on function engine.caller_id() is
'The Clerk user id of the token in use, or null: for a token without one, or one that does not count.
Never raises: a Clerk id is no uuid.';

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

revoke all on function engine.token_is_trusted() from public, anon, authenticated, service_role;
-- Policies run as whoever asks; the schema stays out of reach. They ask whether there is a caller: for
-- a bare boolean the planner expects half of the rows to go.
grant execute on function engine.token_is_trusted(), engine.caller_id() to authenticated;
