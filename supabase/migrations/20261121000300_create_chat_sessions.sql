-- Purpose:   chat sessions: one conversation of one user with one assistant.
-- Guarantee: owner and organisation come from the token, the assistant from the settings unless
--            the caller names one that it may use; a foreign and a missing assistant look alike.
-- Caller:    a browser inserts (title); the engine moves head_id and last_message_at.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table public.chat_sessions (
    id uuid primary key default gen_random_uuid(),
    user_id text not null default (auth.jwt() ->> 'sub') check (user_id <> ''),
    org_id text default nullif(coalesce(auth.jwt() ->> 'org_id', auth.jwt() -> 'o' ->> 'id'), ''),
    assistant_id uuid references public.assistants (id) on delete set null,
    title text not null default 'New chat' check (char_length(title) between 1 and 200),
    status text not null default 'active' check (status in ('active', 'archived')),
    while_running text not null default 'wait' check (while_running in ('wait', 'supersede')),
    metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and engine.fits(metadata, 16384)),
    head_id uuid,
    last_message_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (id, user_id)
);
alter table public.chat_sessions enable row level security;
revoke all on public.chat_sessions from public, anon, authenticated, service_role;
comment on table public.chat_sessions is
'A conversation. Its row is the lock under which messages get their order and runs their turn.';
comment on column public.chat_sessions.assistant_id is
'Who answers. Null, once its assistant is gone and no default is configured: nobody.';
comment on column public.chat_sessions.while_running is
'What a new message does while a run is open: wait for its turn, or supersede the open runs.';
comment on column public.chat_sessions.head_id is
'The newest message of the current branch; the parent of the next one. Moved by the engine.';
create index chat_sessions_user_id_idx
on public.chat_sessions (user_id, last_message_at desc, id desc);
create index chat_sessions_assistant_id_idx on public.chat_sessions (assistant_id);

create function engine.may_use_assistant(p_assistant uuid) returns boolean
language sql
stable
security definer -- reads rows of shared assistants, whose instructions the caller may not see
set search_path = ''
begin atomic
    select
        exists(
            select from public.assistants as a
            where
                a.id = p_assistant
                and (
                    a.user_id = (select engine.caller_id())
                    or a.visibility = 'everyone'
                    or (a.visibility = 'organisation' and a.org_id = (select engine.caller_org_id()))
                )
        );
end;
comment on function engine.may_use_assistant(uuid) is
'Whether the caller owns the assistant or it is shared with the caller. False for a missing one.';

create function engine.set_session_assistant() returns trigger
language plpgsql
security definer -- reads engine.settings, which a browser may not
set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        new.updated_at := pg_catalog.clock_timestamp();
        if new.assistant_id is not distinct from old.assistant_id then
            return new;
        end if;
    end if;
    if new.assistant_id is null then
        select s.default_assistant_id into new.assistant_id from engine.settings s;
        if new.assistant_id is null and tg_op = 'INSERT' then
            raise exception 'no default assistant is configured' using errcode = '23502',
                hint = 'Give assistant_id, or set default_assistant_id in engine.settings.';
        end if;
        return new;
    end if;
    if engine.caller_is_browser() and not engine.may_use_assistant(new.assistant_id) then
        raise exception 'assistant not found, or not yours to use' using errcode = '42501';
    end if;
    return new;
end
$$;
comment on function engine.set_session_assistant() is
'Trigger: the session''s assistant is the default one, or one that the caller may use.';

create trigger set_session_assistant
before insert or update of title, status, while_running, metadata, assistant_id
on public.chat_sessions
for each row execute function engine.set_session_assistant();

revoke all on function engine.may_use_assistant(uuid), engine.set_session_assistant()
from public, anon, authenticated, service_role;
