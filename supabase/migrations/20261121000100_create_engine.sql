-- Purpose:   the schema `engine`: settings, and who is calling.
-- Guarantee: nothing in `engine` can be named by a browser; the Data API serves `public` only.
-- Caller:    every later migration.

set lock_timeout = '5s';
set statement_timeout = '60s';

create schema engine;
comment on schema engine is
'State and functions of the assistant engine. Not exposed by the Data API.';
revoke all on schema engine from public, anon, authenticated, service_role;

-- Roles belong to the whole server, so another database may have made this one already.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'assistants_engine') then
        create role assistants_engine nologin;
    end if;
end
$$;
comment on role assistants_engine is
'May call the service functions of schema engine and nothing else; the service logs in as a member.';
grant usage on schema engine to assistants_engine;

create table engine.settings (
    id boolean primary key default true check (id),
    default_assistant_id uuid,
    user_assistants_allowed boolean not null default true,
    user_models text[] not null default '{offline:demo}',
    user_tools text[] not null default '{function,file_search,code_interpreter}',
    run_ttl_s integer not null default 600 check (run_ttl_s between 1 and 86400),
    max_failures integer not null default 5 check (max_failures between 1 and 100),
    backoff_s double precision not null default 1 check (backoff_s between 0 and 60),
    backoff_limit_s double precision not null default 60 check (backoff_limit_s between 0 and 3600),
    event_ttl_s integer not null default 3600 check (event_ttl_s between 1 and 86400)
);
comment on table engine.settings is
'The one row of settings that the operator decides and the database enforces. Times in seconds.';
comment on column engine.settings.user_models is
'Models that an assistant made by a user may name.';
comment on column engine.settings.user_tools is
'Tool types that an assistant made by a user may name.';
comment on column engine.settings.max_failures is
'A run ends as failed at this number of failures in a row (lost leases and retryable errors).';
alter table engine.settings enable row level security;
revoke all on engine.settings from public, anon, authenticated, service_role;
insert into engine.settings default values;

create function engine.caller_id() returns text
language sql
stable
security invoker
set search_path = ''
begin atomic
    select nullif((select auth.jwt()) ->> 'sub', '');
end;
comment on function engine.caller_id() is
'The Clerk user id of the token in use, or null. Never raises: a Clerk id is no uuid.';

create function engine.caller_org_id() returns text
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

create function engine.caller_is_browser() returns boolean
language sql
stable
security invoker
set search_path = ''
begin atomic
    select pg_catalog.current_setting('role') in ('authenticated', 'anon');
end;
comment on function engine.caller_is_browser() is
'Whether the statement runs as a user. `role` is what SET ROLE chose: a definer does not change it.';

revoke all on function engine.caller_id(), engine.caller_org_id(), engine.caller_is_browser()
from public, anon, authenticated, service_role;
