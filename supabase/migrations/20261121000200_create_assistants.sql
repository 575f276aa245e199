-- Purpose:   assistants: instructions, a model and tools, owned by a user or by the operator.
-- Guarantee: a row is read by its owner alone; what others may see of it is copied to
--            `shared_assistants`; a user's row names only what the operator allows.
-- Caller:    a browser, the operator, the engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table public.assistants (
    id uuid primary key default gen_random_uuid(),
    user_id text default (auth.jwt() ->> 'sub') check (user_id <> ''),
    org_id text default nullif(coalesce(auth.jwt() ->> 'org_id', auth.jwt() -> 'o' ->> 'id'), ''),
    name text not null check (char_length(name) between 1 and 256),
    description text check (char_length(description) <= 512),
    instructions text not null default '' check (octet_length(instructions) <= 262144),
    model text not null default 'offline:demo' check (model ~ '^[a-z0-9_-]+:[^[:space:]]{1,200}$'),
    tools jsonb not null default '[]'
    check (jsonb_typeof(tools) = 'array' and engine.fits(tools, 262144)),
    visibility text not null default 'private'
    check (visibility in ('private', 'organisation', 'everyone')),
    metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and engine.fits(metadata, 16384)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table public.assistants is
'Who answers: instructions, model and tools. Without user_id it is the operator''s.';
comment on column public.assistants.tools is
'List of {"type": …}; a function tool carries its JSON schema, never a URL, a header or a key.';
alter table public.assistants enable row level security;
revoke all on public.assistants from public, anon, authenticated, service_role;
create index assistants_user_id_idx on public.assistants (user_id, created_at desc, id);

create table public.shared_assistants (
    id uuid primary key references public.assistants (id) on delete cascade,
    org_id text,
    name text not null,
    description text,
    model text not null,
    visibility text not null
);
comment on table public.shared_assistants is
'What others than its owner may see of a shared assistant. Kept by a trigger; nobody writes here.';
alter table public.shared_assistants enable row level security;
revoke all on public.shared_assistants from public, anon, authenticated, service_role;
create index shared_assistants_org_id_idx on public.shared_assistants (org_id)
where org_id is not null;

create function engine.check_assistant() returns trigger
language plpgsql
security definer -- reads engine.settings, which a browser may not
set search_path = ''
as $$
declare
    v_settings engine.settings;
begin
    new.updated_at := pg_catalog.now();
    if not engine.caller_is_browser() then
        return new;
    end if;
    select * into strict v_settings from engine.settings;
    if not v_settings.user_assistants_allowed then
        raise exception 'users may not make assistants here' using errcode = '42501';
    end if;
    if new.model <> all (v_settings.user_models) then
        raise exception 'model % is not on the list of allowed models', new.model
            using errcode = '23514',
            hint = 'Allowed: ' || pg_catalog.array_to_string(v_settings.user_models, ', ');
    end if;
    perform engine.check_tools(new.tools, v_settings.user_tools);
    return new;
end
$$;
comment on function engine.check_assistant() is
'Trigger: a user''s assistant names only models and tools on the operator''s lists.';

create function engine.share_assistant() returns trigger
language plpgsql
security definer -- nobody but this trigger may write shared_assistants
set search_path = ''
as $$
begin
    if new.visibility = 'private' then
        delete from public.shared_assistants s where s.id = new.id;
        return null;
    end if;
    insert into public.shared_assistants as s (id, org_id, name, description, model, visibility)
    values (new.id, new.org_id, new.name, new.description, new.model, new.visibility)
    on conflict (id) do update set
        org_id = excluded.org_id, name = excluded.name, description = excluded.description,
        model = excluded.model, visibility = excluded.visibility;
    return null;
end
$$;
comment on function engine.share_assistant() is
'Trigger: shared_assistants holds the assistants that are not private, without instructions.';

create trigger check_assistant before insert or update on public.assistants
for each row execute function engine.check_assistant();
create trigger share_assistant after insert or update on public.assistants
for each row execute function engine.share_assistant();

revoke all on function
engine.check_assistant(), engine.share_assistant()
from public, anon, authenticated, service_role;

-- The tables are new and hold a row at most.
-- squawk-ignore constraint-missing-not-valid, adding-foreign-key-constraint
alter table engine.settings add constraint settings_default_assistant_id_fkey
foreign key (default_assistant_id) references public.assistants (id) on delete set null;
