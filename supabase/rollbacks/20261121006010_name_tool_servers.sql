-- Purpose:   undoes that assistants name MCP servers.
-- Guarantee: an assistant that names one keeps it, and cannot be changed otherwise.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.is_tool(p_tool jsonb) returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = ''
begin atomic
    select
        case
            when jsonb_typeof(p_tool) <> 'object' then false
            when p_tool - array['type', p_tool ->> 'type'] <> '{}' then false
            when jsonb_typeof(coalesce(p_tool -> (p_tool ->> 'type'), '{}')) <> 'object' then false
            else case p_tool ->> 'type'
                when 'function'
                    then
                        p_tool #>> '{function,name}' ~ '^[a-zA-Z0-9_-]{1,64}$'
                        and jsonb_typeof(p_tool #> '{function,name}') = 'string'
                        and (p_tool -> 'function')
                        - array['name', 'description', 'parameters', 'strict'] = '{}'
                when 'file_search'
                    then
                        coalesce(p_tool -> 'file_search', '{}')
                        - array['vector_store_ids', 'max_num_results', 'ranking_options'] = '{}'
                when 'code_interpreter'
                    then coalesce(p_tool -> 'code_interpreter', '{}') - array['file_ids'] = '{}'
                else false
            end
        end;
end;

create or replace function engine.check_tools(p_tools jsonb, p_allowed text[]) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
    v_tool jsonb;
begin
    if pg_catalog.jsonb_typeof(p_tools) is distinct from 'array' then
        raise exception 'tools are a list' using errcode = '23514',
            hint = 'Example: [{"type": "function", "function": {"name": "roll_dice"}}]';
    end if;
    if not engine.is_plain(p_tools) then
        raise exception 'tools are nested too deeply, or hold too large a number'
            using errcode = '23514', hint = 'At most 64 levels, and numbers that a double holds.';
    end if;
    for v_tool in select t.value from pg_catalog.jsonb_array_elements(p_tools) t loop
        if engine.is_tool(v_tool) is not true then
            raise exception 'a tool has a known type, and one key of that name with known keys'
                using errcode = '23514',
                hint = 'A function has name, description, parameters and strict.';
        elsif v_tool ->> 'type' <> all (p_allowed) then
            raise exception 'tool type % is not on the list of allowed tools', v_tool -> 'type'
                using errcode = '23514',
                hint = 'Allowed: ' || pg_catalog.array_to_string(p_allowed, ', ');
        end if;
    end loop;
end
$$;

comment on function engine.check_tools(jsonb, text[]) is
'Returns quietly if each tool is well-formed and of an allowed type; raises 23514 otherwise.';

comment on column engine.settings.user_tools is
'Tool types that an assistant made by a user may name.';
