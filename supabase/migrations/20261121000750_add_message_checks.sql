-- Purpose:   what a user may say, and where.
-- Guarantee: content is text, images and files with known fields; a foreign and a missing session
--            look alike, and are told apart by nothing that waits for a lock.
-- Caller:    the triggers of messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.check_user_content(p_content jsonb) returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
    v_content jsonb := p_content;
begin
    if pg_catalog.jsonb_typeof(v_content) = 'string' then
        v_content := pg_catalog.jsonb_build_array(
            pg_catalog.jsonb_build_object('type', 'text', 'text', v_content));
    end if;
    if not engine.is_content(v_content) then
        raise exception 'content is neither a string nor a list of well-formed parts'
            using errcode = '23514', hint = 'Example: [{"type": "text", "text": "Hello"}]';
    end if;
    if exists (select from pg_catalog.jsonb_array_elements(v_content) p
        where p.value ->> 'type' not in ('text', 'image', 'file')) then
        raise exception 'a user message holds text, image and file parts only'
            using errcode = '23514';
    end if;
    if exists (
        select from pg_catalog.jsonb_array_elements(v_content) p
        cross join pg_catalog.jsonb_each(p.value) field
        where field.key not in ('type', 'text', 'file_id', 'url', 'detail', 'name')
        or pg_catalog.jsonb_typeof(field.value) <> 'string'
    ) then
        raise exception 'a part has an unknown field, or one that is no string'
            using errcode = '23514', hint = 'Fields: type, text, file_id, url, detail, name.';
    end if;
    if not exists (select from pg_catalog.jsonb_array_elements(v_content) p
        where p.value ->> 'type' <> 'text' or pg_catalog.btrim(p.value ->> 'text', E' \t\n\r') <> '') then
        raise exception 'the message is empty' using errcode = '23514';
    end if;
    return v_content;
end
$$;
comment on function engine.check_user_content(jsonb) is
'The content as a list of parts. Raises 23514 unless it is what a user may say.';

create function engine.check_caller_owns(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    if not exists (
        select from public.chat_sessions s
        where s.id = p_session and s.user_id = engine.caller_id()
    ) then
        raise exception 'session not found, or not yours' using errcode = '42501';
    end if;
    if coalesce(nullif(pg_catalog.current_setting('engine.statement_session', true), ''),
        p_session::text) <> p_session::text then
        raise exception 'a statement on messages touches one session' using errcode = '23514';
    end if;
    perform pg_catalog.set_config('engine.statement_session', p_session::text, true);
end
$$;
comment on function engine.check_caller_owns(uuid) is
'Raises the same 42501 for a foreign and a missing session, and 23514 for a second session in one
statement: locks of several sessions could deadlock.';

revoke all on function engine.check_user_content(jsonb), engine.check_caller_owns(uuid)
from public, anon, authenticated, service_role;
