-- Purpose:   undoes that a long message is refused with a word on its length.
-- Guarantee: what is refused is the same.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.check_user_content(p_content jsonb) returns jsonb
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
