-- Purpose:   an assistant may name an MCP server of the operator's, and its own functions have names
--            and schemas that a model can be given.
-- Guarantee: a server by name only, never a URL, a header or a key; a user's assistant, only if the
--            operator's list of tools has `mcp:<name>`.
-- Caller:    whoever writes assistants.

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
                        and coalesce(jsonb_typeof(p_tool #> '{function,description}'), 'null')
                        in ('string', 'null')
                        and coalesce(jsonb_typeof(p_tool #> '{function,strict}'), 'null')
                        in ('boolean', 'null')
                when 'mcp'
                    then
                        p_tool #>> '{mcp,server}' ~ '^[a-z0-9_-]{1,32}$'
                        and jsonb_typeof(p_tool #> '{mcp,server}') = 'string'
                        and not coalesce(
                            p_tool #> '{mcp,allowed_tools}', '[]'
                        ) @? 'strict $[*] ? (@.type() != "string")'
                        and jsonb_typeof(coalesce(p_tool #> '{mcp,allowed_tools}', '[]')) = 'array'
                        and (p_tool -> 'mcp') - array['server', 'allowed_tools'] = '{}'
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
    v_schema jsonb;
    v_kind text;
    v_twice text;
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
                hint = case v_tool ->> 'type'
                    when 'function' then 'A function has name, description, parameters and strict.'
                    when 'mcp' then 'An mcp has server, its name in TOOLS_FILE, and allowed_tools, a list.'
                    else 'Types are function, mcp, file_search and code_interpreter.'
                end;
        end if;
        v_schema := coalesce(v_tool #> '{function,parameters}', '{}');
        if v_schema not in ('{}', 'null')
            and (v_schema -> 'type' is distinct from '"object"' or not engine.is_schema(v_schema)) then
            raise exception 'the parameters of function % are no JSON schema of an object',
                v_tool #> '{function,name}'
                using errcode = '23514',
                hint = 'Example: {"type": "object", "properties": {"city": {"type": "string"}}}';
        end if;
        v_kind := v_tool ->> 'type';
        if v_kind = 'mcp' then
            v_kind := 'mcp:' || (v_tool #>> '{mcp,server}');
        end if;
        if v_kind <> all (p_allowed) then
            raise exception 'tool type % is not on the list of allowed tools',
                pg_catalog.to_jsonb(v_kind)
                using errcode = '23514',
                hint = 'Allowed: ' || pg_catalog.array_to_string(p_allowed, ', ');
        end if;
    end loop;
    select t.value #>> '{function,name}' into v_twice
    from pg_catalog.jsonb_array_elements(p_tools) t
    group by 1 having pg_catalog.count(t.value #>> '{function,name}') > 1 limit 1;
    if v_twice is not null then
        raise exception 'two functions are called %', v_twice using errcode = '23514',
            hint = 'The model calls them by their names.';
    end if;
end
$$;

comment on function engine.check_tools(jsonb, text[]) is
'Returns quietly if each tool is well-formed and, where there is a list, of an allowed type; raises
23514 otherwise.';

comment on column engine.settings.user_tools is
'Tool types that an assistant made by a user may name; of MCP servers each one, as mcp:<name>.';
