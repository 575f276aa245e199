-- Purpose:   how a run ends: one outcome row and one terminal event.
-- Guarantee: the session and the run are locked by the caller; what readers saw is what is stored.
-- Caller:    the definer functions of later migrations. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.streamed_text(p_run uuid) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    with latest as (
        select e.data ->> 'message_id' as message_id
        from engine.events as e
        where e.run_id = p_run and e.type in ('message.delta', 'message.discarded')
        order by e.seq desc
        limit 1
    )

    select
        jsonb_build_object(
            'message_id', latest.message_id,
            'text', (
                select string_agg(e.data ->> 'text', '' order by e.seq)
                from engine.events as e
                where
                    e.run_id = p_run and e.type = 'message.delta'
                    and e.data ->> 'message_id' = latest.message_id
            )
        )
    from latest
    where
        not exists (
            select from engine.events as e
            where
                e.run_id = p_run and e.type = 'message.discarded'
                and e.data ->> 'message_id' = latest.message_id
        )
        and not exists (
            select from engine.runs as r
            where r.id = p_run and r.said_message_id = latest.message_id::uuid
        );
end;
comment on function engine.streamed_text(uuid) is
'{"message_id", "text"} that readers have seen and no row holds yet; null if there is none.';

create function engine.tool_parts(p_run uuid) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select coalesce(jsonb_agg(part.value order by s.position, part.no), '[]'::jsonb)
    from engine.run_steps as s
    cross join
        lateral (
            values
            (1, jsonb_build_object(
                'type', 'tool_call', 'call_id', s.data -> 'call_id', 'name', s.data -> 'name',
                'arguments', s.data -> 'arguments'
            )),
            (2, jsonb_build_object(
                'type', 'tool_result', 'call_id', s.data -> 'call_id', 'output', s.data -> 'output'
            ))
        ) as part (no, value)
    where s.run_id = p_run and (part.no = 1 or s.data ? 'output');
end;
comment on function engine.tool_parts(uuid) is
'The run''s tool calls and results as content parts, in the order of its steps.';

create function engine.fit_content(p_tools jsonb, p_content jsonb) returns jsonb
language sql
immutable
security invoker
set search_path = ''
begin atomic
    select
        case
            when
                engine.is_content(p_tools || p_content)
                and octet_length((p_tools || p_content)::text) <= 1048576 then p_tools || p_content
            when
                engine.is_content(p_content)
                and octet_length(p_content::text) <= 1048576 then p_content
            else
                jsonb_build_array(jsonb_build_object(
                    'type', 'text', 'text', left(engine.content_text(p_content), 150000)
                ))
        end;
end;
comment on function engine.fit_content(jsonb, jsonb) is
'Content that a row can hold: tool parts and content, else the content, else its first 150,000
characters. The steps keep what is left out of tools.';

create function engine.end_run(
    p_run engine.runs, p_status text, p_message_id uuid, p_content jsonb,
    p_reason text, p_error text, p_usage jsonb
) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_message uuid := coalesce(p_message_id, pg_catalog.gen_random_uuid());
    v_content jsonb := engine.fit_content(engine.tool_parts(p_run.id), coalesce(p_content, '[]'));
    v_status text := p_status;
    v_reason text := p_reason;
begin
    if p_status = 'completed' and engine.content_text(v_content) <> engine.content_text(p_content) then
        v_status := 'incomplete';
        v_reason := 'content_too_large';
    elsif p_status <> 'completed' then
        v_reason := coalesce(p_reason, p_status);
    end if;
    update engine.runs r
    set status = v_status, worker = null, lease_until = null, error = p_error,
        usage = coalesce(p_usage, r.usage), required_action = null,
        ended_at = pg_catalog.clock_timestamp()
    where r.id = p_run.id;
    insert into public.messages
        (id, session_id, role, status, reason, error, content, run_id, starts_run)
    values (v_message, p_run.session_id, 'assistant',
        case v_status when 'completed' then 'completed' else 'incomplete' end,
        v_reason, p_error, v_content, p_run.id, false);
    perform engine.append_event(p_run.id, 'run.' || v_status, pg_catalog.jsonb_build_object(
        'message_id', v_message, 'status', v_status, 'reason', v_reason, 'error', p_error));
end
$$;
comment on function engine.end_run(engine.runs, text, uuid, jsonb, text, text, jsonb) is
'The run has ended with its one outcome row and its terminal event. The caller promotes the next.';

revoke all on function
engine.streamed_text(uuid), engine.tool_parts(uuid), engine.fit_content(jsonb, jsonb),
engine.end_run(engine.runs, text, uuid, jsonb, text, text, jsonb)
from public, anon, authenticated, service_role;
