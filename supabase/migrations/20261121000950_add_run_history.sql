-- Purpose:   what a claim tells a worker, and what the model is given.
-- Guarantee: history is the parent path of the answered message, under the fence.
-- Caller:    claim_runs; workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.describe_claim(p_run engine.runs) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        jsonb_build_object(
            'run_id', p_run.id, 'session_id', p_run.session_id, 'user_id', p_run.user_id,
            'org_id', p_run.org_id, 'message_id', p_run.message_id,
            'assistant_id', p_run.assistant_id, 'model', p_run.model, 'origin', p_run.origin,
            'fence', p_run.fence, 'failures', p_run.failures, 'queued_no', p_run.queued_no,
            'expires_at', p_run.expires_at
        )
        || case
            when p_run.fence = 1 then '{"next_seq": 1, "next_ordinal": 0, "discarded_message_id": null}'
            else jsonb_build_object(
                'next_seq', (
                    select coalesce(max(e.seq), 0) + 1 from engine.events as e where e.run_id = p_run.id
                ),
                'next_ordinal', (
                    select coalesce(max(m.ordinal) + 1, 0) from public.messages as m
                    where m.run_id = p_run.id and m.ordinal is not null
                ),
                'discarded_message_id', engine.streamed_text(p_run.id) ->> 'message_id'
            )
        end;
end;
comment on function engine.describe_claim(engine.runs) is
'One claim. next_seq and next_ordinal: where events and texts go on. discarded_message_id: streamed
by an earlier attempt, stored by none.';

create function engine.message_path(p_session uuid, p_tip uuid, p_limit integer)
returns setof public.messages
language sql
stable
security invoker
set search_path = ''
begin atomic
    with recursive path as (
        select
            m.id,
            m.parent_id,
            1 as depth,
            octet_length(m.content::text) as bytes
        from public.messages as m
        where m.session_id = p_session and m.id = p_tip
        union all
        select
            m.id,
            m.parent_id,
            path.depth + 1 as depth,
            path.bytes + octet_length(m.content::text) as bytes
        from path
        inner join public.messages as m on path.parent_id = m.id
        where m.session_id = p_session and path.depth < p_limit and path.bytes < 4194304
    )

    select m.*
    from path
    inner join public.messages as m on path.id = m.id
    order by path.depth desc;
end;
comment on function engine.message_path(uuid, uuid, integer) is
'The message and its ancestors, the oldest first: at most p_limit of them, and no more once 4 MB of
content are reached.';

create function engine.run_history(
    p_run uuid, p_worker text, p_fence bigint, p_message_limit integer default 200
) returns jsonb
language sql
stable
security definer -- a worker has no rights on tables
set search_path = ''
begin atomic
    select
        jsonb_build_object(
            'assistant', (
                select
                    jsonb_build_object(
                        'id', a.id, 'name', a.name, 'instructions', a.instructions, 'model', a.model,
                        'tools', a.tools, 'metadata', a.metadata
                    )
                from public.assistants as a
                where a.id = r.assistant_id
            ),
            'messages', (
                select
                    coalesce(jsonb_agg(
                        jsonb_build_object(
                            'id', m.id, 'role', m.role, 'content', m.content, 'created_at', m.created_at
                        )
                    ), '[]')
                from
                    engine.message_path(
                        r.session_id,
                        coalesce(
                            (
                                select said.id from public.messages as said
                                where said.run_id = r.id and said.ordinal is not null
                                order by said.ordinal desc
                                limit 1
                            ), r.message_id
                        ),
                        p_message_limit
                    ) as m
                where m.role = 'user' or engine.content_text(m.content) <> ''
            ),
            'steps', (
                select
                    coalesce(jsonb_agg(
                        jsonb_build_object(
                            'position', s.position, 'type', s.type, 'status', s.status, 'data', s.data
                        )
                        order by s.position
                    ), '[]')
                from engine.run_steps as s
                where s.run_id = r.id
            )
        )
    from engine.runs as r
    where r.id = p_run and r.worker = p_worker and r.fence = p_fence;
end;
comment on function engine.run_history(uuid, text, bigint, integer) is
'{"assistant", "messages", "steps"} for the holder of the fence, else null. Messages: the path to the
answered one and what the run has said since, oldest first, without replies that have no text.';

revoke all on function
engine.describe_claim(engine.runs), engine.message_path(uuid, uuid, integer),
engine.run_history(uuid, text, bigint, integer)
from public, anon, authenticated, service_role;
grant execute on function engine.run_history(uuid, text, bigint, integer) to assistants_engine;
