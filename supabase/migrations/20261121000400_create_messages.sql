-- Purpose:   messages: what was said in a session, as a list of typed parts.
-- Guarantee: a parent lies in the same session, an outcome is unique per run, a browser's retry
--            with the same client_id is one row, and content has a known shape and a bounded size.
-- Caller:    a browser inserts (session_id, content); the engine writes replies.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.is_part(p_part jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select case p_part ->> 'type'
        when 'text' then jsonb_typeof(p_part -> 'text') = 'string'
        when 'reasoning' then jsonb_typeof(p_part -> 'text') = 'string'
        when 'image'
            then
                jsonb_typeof(coalesce(p_part -> 'file_id', p_part -> 'url')) = 'string'
                and not p_part ?& array['file_id', 'url']
        when 'file' then jsonb_typeof(p_part -> 'file_id') = 'string'
        when 'citation' then jsonb_typeof(p_part -> 'text') = 'string'
        when 'tool_call'
            then
                jsonb_typeof(p_part -> 'call_id') = 'string'
                and jsonb_typeof(p_part -> 'name') = 'string'
                and jsonb_typeof(p_part -> 'arguments') = 'object'
        when 'tool_result'
            then jsonb_typeof(p_part -> 'call_id') = 'string' and p_part ? 'output'
        else false
    end;
end;
comment on function engine.is_part(jsonb) is
'Whether a jsonb value is one well-formed content part. Null for a part that lacks a field.';

create function engine.is_content(p_content jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        case
            when jsonb_typeof(p_content) <> 'array' then false
            when jsonb_array_length(p_content) > 256 then false
            else coalesce(
                (
                    select bool_and(coalesce(engine.is_part(part.value), false))
                    from jsonb_array_elements(p_content) as part
                ), true
            )
        end;
end;
comment on function engine.is_content(jsonb) is
'Whether a jsonb value is a list of at most 256 well-formed parts; the empty list is one.';

create function engine.content_text(p_content jsonb) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select coalesce(string_agg(part.value ->> 'text', E'\n' order by part.ordinality), '')
    from jsonb_array_elements(p_content) with ordinality as part
    where part.value ->> 'type' = 'text';
end;
comment on function engine.content_text(jsonb) is
'The text parts of a content list, one to a line; the empty string if it has none.';

create function engine.owner_lexeme(p_user_id text) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select 'owner ' || encode(sha256(convert_to(p_user_id, 'UTF8')), 'hex');
end;
comment on function engine.owner_lexeme(text) is
'The lexeme that stands for an owner: with a space, so that no text parses to it; hashed, so that
any id can be quoted in a tsquery.';

create function engine.search_vector(p_user_id text, p_content jsonb) returns tsvector
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        to_tsvector('simple'::regconfig, left(engine.content_text(p_content), 100000))
        || array_to_tsvector(array[engine.owner_lexeme(p_user_id)]);
end;
comment on function engine.search_vector(text, jsonb) is
'The words of a message''s first 100,000 characters (a tsvector holds 1 MB) and its owner''s lexeme.';

create sequence engine.message_positions;
revoke all on sequence engine.message_positions from public, anon, authenticated, service_role;

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    session_id uuid not null,
    user_id text not null,
    org_id text,
    parent_id uuid,
    position bigint not null,
    role text not null default 'user' check (role in ('user', 'assistant')),
    status text not null default 'completed' check (status in ('completed', 'incomplete')),
    reason text check (char_length(reason) <= 64),
    error text check (error ~ '^[a-z0-9_]{1,64}$'),
    content jsonb not null
    check (engine.fits(content, case role when 'user' then 262144 else 1048576 end))
    check (engine.is_content(content)),
    run_id uuid,
    ordinal integer check (ordinal >= 0),
    client_id text check (char_length(client_id) between 1 and 64),
    metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and engine.fits(metadata, 16384)),
    starts_run boolean not null default true,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (session_id, id),
    unique (session_id, client_id),
    foreign key (session_id, user_id) references public.chat_sessions (id, user_id)
    on update cascade on delete cascade,
    foreign key (session_id, parent_id) references public.messages (session_id, id)
    deferrable initially deferred
);
alter table public.messages enable row level security;
revoke all on public.messages from public, anon, authenticated, service_role;
