-- What a Supabase project holds before its first migration: roles, schemas and their functions.
-- Idempotent; applied to a database by its superuser before the migrations, on PostgreSQL 15 to 18.
-- The roles have the hosted attributes: `postgres` is no superuser, and nothing is granted on new
-- tables (as on every hosted project since 2026-10-30).

begin;
-- `error`: a publication warns that nothing decodes the log here.
set local client_min_messages = error;
set local lock_timeout = '10s';
-- Two databases of one server may be prepared at once; roles belong to the server.
select from pg_advisory_xact_lock(hashtextextended('supa-assistants prelude', 0));

do $$
declare
    v_role record;
begin
    for v_role in
        select * from (values
            ('anon', 'nologin noinherit'),
            ('authenticated', 'nologin noinherit'),
            ('service_role', 'nologin noinherit bypassrls'),
            ('authenticator', 'login noinherit'),
            ('postgres', 'login createdb createrole replication bypassrls'),
            ('dashboard_user', 'nologin createdb createrole replication'),
            ('supabase_auth_admin', 'nologin noinherit createrole'),
            ('supabase_storage_admin', 'nologin noinherit createrole'),
            ('supabase_realtime_admin', 'nologin noinherit')
        ) as wanted (name, attributes)
        where not exists (select from pg_roles where rolname = wanted.name)
    loop
        execute format('create role %I %s', v_role.name, v_role.attributes);
    end loop;
end;
$$;

-- The platform lets `postgres` write policies on the tables of `storage` and `realtime` by an
-- extension; here it is a member of their owners.
do $$
declare
    v_membership record;
begin
    for v_membership in
        select * from (values
            ('anon, authenticated, service_role', 'authenticator', ''),
            ('anon, authenticated, service_role', 'postgres', 'with admin option'),
            ('authenticator, supabase_storage_admin, supabase_realtime_admin', 'postgres', ''),
            ('pg_monitor, pg_read_all_data, pg_signal_backend', 'postgres', '')
        ) as wanted (roles, member, options)
    loop
        execute format(
            'grant %s to %I %s', v_membership.roles, v_membership.member, v_membership.options
        );
    end loop;
end;
$$;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;

do $$
begin
    execute format('alter database %I owner to postgres', current_database());
    execute format(
        'alter database %I set search_path = "$user", public, extensions', current_database()
    );
end;
$$;

create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists extensions authorization postgres;
create schema if not exists graphql_public authorization postgres;
create schema if not exists realtime authorization supabase_realtime_admin;
create schema if not exists storage authorization supabase_storage_admin;

grant usage on schema public, auth, extensions, graphql_public, realtime, storage
to postgres, anon, authenticated, service_role;
grant create on schema public, extensions to postgres;

do $$
begin
    if exists (select from pg_available_extensions where name = 'vector') then
        create extension if not exists vector with schema extensions;
    end if;
end;
$$;

-- Who asks: the Data API puts the token's payload into a setting of the transaction

create or replace function auth.jwt() returns jsonb
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;

create or replace function auth.uid() returns uuid
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;

create or replace function auth.role() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    )
$$;

create or replace function auth.email() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    )
$$;

create table if not exists auth.users (
    id uuid primary key,
    email text unique,
    created_at timestamptz not null default now()
);
alter table auth.users owner to supabase_auth_admin;

-- Realtime: the table that broadcasts are written to, and the functions that migrations call ---------

create table if not exists realtime.messages (
    id uuid not null default gen_random_uuid(),
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp not null default now(),
    inserted_at timestamp not null default now(),
    primary key (id, inserted_at)
);
alter table realtime.messages owner to supabase_realtime_admin;
alter table realtime.messages enable row level security;
grant select, insert, update on realtime.messages to postgres, anon, authenticated, service_role;
-- The platform keeps broadcasts for three days.
delete from realtime.messages where inserted_at < now() - interval '3 days';

create or replace function realtime.topic() returns text
language sql stable
as $$
    select nullif(current_setting('realtime.topic', true), '')
$$;

-- As on the platform, a broadcast that fails warns and never aborts the caller's transaction.
create or replace function realtime.send(
    payload jsonb, event text, topic text, private boolean default true
) returns void
language plpgsql
as $$
begin
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (payload, event, topic, private, extension)
    values (
        case when payload ? 'id' then payload
        else payload || jsonb_build_object('id', gen_random_uuid()) end,
        event, topic, private, 'broadcast'
    );
exception
    when others then
        raise warning 'realtime.send: %', sqlerrm;
end;
$$;

create or replace function realtime.broadcast_changes(
    topic_name text, event_name text, operation text, table_name text, table_schema text,
    new record, old record, level text default 'ROW'
) returns void
language plpgsql
as $$
begin
    if level = 'STATEMENT' then
        raise exception 'broadcast_changes is for row triggers only';
    end if;
    perform realtime.send(
        jsonb_build_object(
            'operation', operation, 'table', table_name, 'schema', table_schema,
            'record', to_jsonb(new), 'old_record', to_jsonb(old)
        ),
        event_name, topic_name
    );
end;
$$;

-- Storage: rows that policies guard; the bytes are the storage service's own

create table if not exists storage.buckets (
    id text primary key,
    name text not null unique,
    -- `owner` is a uuid on the platform and deprecated there; a Clerk id is none.
    owner text,
    owner_id text,
    public boolean default false,
    avif_autodetection boolean default false,
    file_size_limit bigint,
    allowed_mime_types text[],
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table if not exists storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text references storage.buckets (id),
    name text,
    owner text,
    owner_id text,
    metadata jsonb,
    user_metadata jsonb,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    version text,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    last_accessed_at timestamptz default now(),
    unique (bucket_id, name)
);

alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
grant select, insert, update, delete on storage.buckets, storage.objects
to postgres, anon, authenticated, service_role;

create or replace function storage.foldername(name text) returns text[]
language sql immutable
as $$
    select parts[:cardinality(parts) - 1] from string_to_array(name, '/') as parts
$$;

create or replace function storage.filename(name text) returns text
language sql immutable
as $$
    select split_part(name, '/', -1)
$$;

create or replace function storage.extension(name text) returns text
language sql immutable
as $$
    select split_part(split_part(name, '/', -1), '.', -1)
$$;

create or replace function storage.operation() returns text
language sql stable
as $$
    select current_setting('storage.operation', true)
$$;

-- As on the platform: a row that is deleted by hand would leave its bytes behind.
create or replace function storage.protect_delete() returns trigger
language plpgsql
as $$
begin
    if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
        raise exception
            'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
        using errcode = '42501';
    end if;
    return null;
end;
$$;

create or replace trigger protect_buckets_delete before delete on storage.buckets
for each statement execute function storage.protect_delete();
create or replace trigger protect_objects_delete before delete on storage.objects
for each statement execute function storage.protect_delete();

-- The Data API reads the schema again after a change of it, as on the platform; tables that browsers
-- follow by Postgres Changes are added to the publication.

create or replace function extensions.notify_data_api() returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
end;
$$;

do $$
begin
    if not exists (select from pg_event_trigger where evtname = 'pgrst_ddl_watch') then
        create event trigger pgrst_ddl_watch on ddl_command_end
        execute function extensions.notify_data_api();
    end if;
    if not exists (select from pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
        alter publication supabase_realtime owner to postgres;
    end if;
end;
$$;

commit;
