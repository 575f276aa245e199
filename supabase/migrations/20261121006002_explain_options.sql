-- Purpose:   says which option is wrong, and what it may be.
-- Guarantee: refuses what `engine.is_options` refuses, and nothing else.
-- Caller:    the trigger of assistants; the constraint stays behind it.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.check_options(p_options jsonb) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
    v_known jsonb := pg_catalog.jsonb_build_object(
        'temperature', 'A number from 0 to 2.',
        'top_p', 'A number from 0 to 1.',
        'max_output_tokens', 'A whole number from 1 to 1000000.',
        'reasoning_effort', 'none, minimal, low, medium or high.',
        'response_format', '{"type": "text"}, {"type": "json_object"}, or {"type": "json_schema",'
            ' "json_schema": {"name", "schema", "strict", "description"}}: name and schema are needed.',
        'tool_choice',
        'auto, none, required, or {"type": "function", "function": {"name": "roll_dice"}}.',
        'parallel_tool_calls', 'true or false.',
        'truncation', '{"type": "auto"}, {"type": "last_messages", "last_messages": 1 to 200}, or'
            ' {"type": "max_tokens", "max_tokens": 256 to 10000000}; the last two may have'
            ' "summarise": true.',
        'fallback_models', 'A list of at most 8 models, such as ["openai:gpt-6-luna"].',
        'fallback_after_words', 'true or false.',
        'cache', 'user, organisation or assistant.',
        'service', 'default or batch.');
    v_key text;
    v_said text;
    v_hint text;
begin
    if engine.is_options(p_options) and engine.fits(p_options, 65536) then
        return;
    end if;
    if pg_catalog.jsonb_typeof(p_options) is distinct from 'object' then
        v_said := 'options are an object';
        v_hint := 'Example: {"temperature": 0.5}';
    else
        select o.key into v_key from pg_catalog.jsonb_each(p_options) o
        where not engine.is_options(pg_catalog.jsonb_build_object(o.key, o.value)) limit 1;
        v_said := case
            when v_key is null then 'options are larger than 64 kB, or nested too deeply'
            when not engine.is_schema(p_options #> '{response_format,json_schema,schema}')
                and v_key = 'response_format' then 'the schema of response_format is no JSON schema'
            when v_known ? v_key then pg_catalog.format('option "%s" is out of its range', v_key)
            else pg_catalog.format('there is no option "%s"', pg_catalog.left(v_key, 64)) end;
        v_hint := case
            when v_key is null then 'At most 64 levels, and numbers that a double holds.'
            else coalesce(v_known ->> v_key, 'Known: ' || (
                select pg_catalog.string_agg(k.name, ', ' order by k.name)
                from pg_catalog.jsonb_object_keys(v_known) as k (name))) end;
    end if;
    raise exception '%', v_said using errcode = '23514', hint = v_hint;
end
$$;
comment on function engine.check_options(jsonb) is
'Returns quietly if the value is known options in their range; raises 23514 with the key otherwise.';

revoke all on function engine.check_options(jsonb)
from public, anon, authenticated, service_role;
