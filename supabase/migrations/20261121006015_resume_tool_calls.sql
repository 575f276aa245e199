-- Purpose:   a tool call of the service's own is stored before it is made, and again when it is done.
-- Guarantee: what is done is never written again, so that whoever takes the run over repeats only
--            what was under way.
-- Caller:    checkpoint_run and park_run.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- The one that follows takes its place, in the same transaction.
-- squawk-ignore ban-drop-constraint
alter table engine.run_steps drop constraint run_steps_status_check;
-- It allows more than the one before: each row fits.
-- squawk-ignore constraint-missing-not-valid
alter table engine.run_steps add constraint run_steps_status_check
check (status in ('in_progress', 'requires_action', 'completed', 'failed'));

create or replace function engine.store_steps(p_run uuid, p_steps jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.run_steps as stored (run_id, position, type, status, data)
    select
        p_run,
        s.position,
        s.type,
        s.status,
        s.data
    from jsonb_to_recordset(p_steps) as s (position integer, type text, status text, data jsonb)
    on conflict (run_id, position) do update
        set status = excluded.status, data = excluded.data, updated_at = clock_timestamp()
        where stored.status = 'in_progress';
end;
comment on function engine.store_steps(uuid, jsonb) is
'Stores steps [{"position", "type", "status", "data"}]. One in progress may be written again, any
other is written once.';

create or replace function engine.tool_parts(p_run uuid) returns jsonb
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
            ) || case s.status when 'failed' then '{"is_error": true}'::jsonb else '{}'::jsonb end)
        ) as part (no, value)
    where
        s.run_id = p_run and (part.no = 1 or s.data ? 'output')
        -- No row could hold more, and nothing could build it.
        and (
            select
                coalesce(sum(
                    coalesce(octet_length(o.data ->> 'output'), 0)
                    + coalesce(octet_length(o.data ->> 'arguments'), 0)
                ), 0)
            from engine.run_steps as o
            where o.run_id = p_run
        ) < 2097152;
end;
