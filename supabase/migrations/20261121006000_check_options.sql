-- Purpose:   what an assistant's options may look like: sampling, form of the answer, tool choice,
--            truncation, fallbacks, cache, service.
-- Guarantee: known keys with values in their range.
-- Caller:    the check of assistants.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.is_schema(p_schema jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    -- Deeper down a worker looks: what is no schema there costs its function, not the row.
    select
        jsonb_typeof(p_schema) = 'object'
        and jsonb_typeof(coalesce(p_schema -> 'properties', '{}')) = 'object'
        and jsonb_typeof(coalesce(p_schema -> 'required', '[]')) = 'array'
        and not exists (
            select
            from (
                select p_schema as value
                union all
                select p.value
                from jsonb_each(
                    case jsonb_typeof(p_schema -> 'properties')
                        when 'object' then p_schema -> 'properties' else '{}'
                    end
                ) as p
            ) as s
            where
                jsonb_typeof(s.value) not in ('object', 'boolean')
                or not '["object", "array", "string", "number", "integer", "boolean", "null"]'
                @> coalesce(s.value -> 'type', '[]')
        );
end;
comment on function engine.is_schema(jsonb) is
'Whether the value looks like a JSON schema, down to its properties.';

create function engine.is_answer_form(p_form jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        case p_form ->> 'type'
            when 'text' then p_form - 'type' = '{}'
            when 'json_object' then p_form - 'type' = '{}'
            when 'json_schema'
                then
                    p_form - array['type', 'json_schema'] = '{}'
                    and coalesce(p_form #>> '{json_schema,name}' ~ '^[a-zA-Z0-9_-]{1,64}$', false)
                    and coalesce(engine.is_schema(p_form #> '{json_schema,schema}'), false)
                    and coalesce(jsonb_typeof(p_form #> '{json_schema,strict}'), 'boolean') = 'boolean'
                    and coalesce(jsonb_typeof(p_form #> '{json_schema,description}'), 'string') = 'string'
                    and (p_form -> 'json_schema') - array['name', 'schema', 'strict', 'description'] = '{}'
            else false
        end;
end;
comment on function engine.is_answer_form(jsonb) is
'Whether the value is a response format: text, json_object, or json_schema with name and schema.';

create function engine.is_truncation(p_value jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        case p_value ->> 'type'
            when 'auto' then p_value - 'type' = '{}'
            when 'last_messages'
                then
                    p_value @? 'strict $.last_messages ? (@.type() == "number" && @ >= 1 && @ <= 200)'
                    and p_value - array['type', 'last_messages', 'summarise'] = '{}'
            when 'max_tokens'
                then
                    p_value @? 'strict $.max_tokens ? (@.type() == "number" && @ >= 256 && @ <= 10000000)'
                    and p_value - array['type', 'max_tokens', 'summarise'] = '{}'
            else false
        end
        and coalesce(jsonb_typeof(p_value -> 'summarise'), 'boolean') = 'boolean';
end;
comment on function engine.is_truncation(jsonb) is
'Whether the value says how a long conversation is cut: auto, last_messages or max_tokens.';

create function engine.is_tool_choice(p_value jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        case jsonb_typeof(p_value)
            when 'string' then p_value #>> '{}' in ('none', 'auto', 'required')
            when 'object'
                then
                    coalesce(p_value ->> 'type' = 'function', false)
                    and coalesce(p_value #>> '{function,name}' ~ '^[a-zA-Z0-9_-]{1,64}$', false)
                    and p_value - array['type', 'function'] = '{}'
                    and (p_value -> 'function') - 'name' = '{}'
            else false
        end;
end;
comment on function engine.is_tool_choice(jsonb) is
'Whether the value is none, auto, required, or {"type": "function", "function": {"name"}}.';

create function engine.is_options(p_options jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        coalesce(bool_and(coalesce(case o.key
            when 'temperature' then o.value @? 'strict $ ? (@.type() == "number" && @ >= 0 && @ <= 2)'
            when 'top_p' then o.value @? 'strict $ ? (@.type() == "number" && @ >= 0 && @ <= 1)'
            when 'max_output_tokens'
                then
                    o.value @? 'strict $ ? (@.type() == "number" && @ >= 1 && @ <= 1000000)'
                    and o.value @? 'strict $ ? (@.floor() == @)'
            when 'reasoning_effort'
                then o.value in ('"none"', '"minimal"', '"low"', '"medium"', '"high"')
            when 'response_format' then engine.is_answer_form(o.value)
            when 'tool_choice' then engine.is_tool_choice(o.value)
            when 'parallel_tool_calls' then jsonb_typeof(o.value) = 'boolean'
            when 'truncation' then engine.is_truncation(o.value)
            when 'fallback_models'
                then
                    o.value @? 'strict $ ? (@.type() == "array" && @.size() <= 8)'
                    and not o.value @? 'strict $[*] ? (@.type() != "string")'
                    and not o.value @? 'strict $[*] ? (!(@ like_regex "^[a-z0-9_-]+:[^ \t\n]{1,200}$"))'
            when 'fallback_after_words' then jsonb_typeof(o.value) = 'boolean'
            when 'cache' then o.value in ('"user"', '"organisation"', '"assistant"')
            when 'service' then o.value in ('"default"', '"batch"')
        end, false)), true)
    from
        jsonb_each(case jsonb_typeof(p_options) when 'object' then p_options else '{"": 0}' end) as o;
end;
comment on function engine.is_options(jsonb) is
'Whether the value is an object of known options, each in its range.';

-- A check constraint runs as whoever writes the row.
revoke all on function
engine.is_schema(jsonb), engine.is_answer_form(jsonb), engine.is_truncation(jsonb),
engine.is_tool_choice(jsonb), engine.is_options(jsonb)
from public, anon, authenticated, service_role;
grant execute on function
engine.is_schema(jsonb), engine.is_answer_form(jsonb), engine.is_truncation(jsonb),
engine.is_tool_choice(jsonb), engine.is_options(jsonb)
to authenticated, service_role;
