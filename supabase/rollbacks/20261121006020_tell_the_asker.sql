-- Purpose:   undoes that the history says who asked.
-- Guarantee: the history is as it was.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.run_history(
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

drop function engine.describe_asker(engine.runs);
