-- Purpose:   the history says who asked, and how the assistant wants its model asked.
-- Guarantee: the claims are those that the asker's own token would have, and hold for reading as them.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.describe_asker(p_run engine.runs) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        jsonb_build_object(
            'user_id', p_run.requester_id, 'org_id', p_run.org_id, 'priority', p_run.priority,
            'claims', jsonb_strip_nulls(jsonb_build_object(
                'role', 'authenticated', 'sub', p_run.requester_id, 'org_id', p_run.org_id,
                'iss', (select p.issuer from engine.pinned_issuer as p)
            ))
        );
end;
comment on function engine.describe_asker(engine.runs) is
'{"user_id", "org_id", "priority", "claims"}: in whose name the run is made.';

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
            'asker', engine.describe_asker(r),
            'summary', (
                select s.summary from engine.session_summaries as s where s.session_id = r.session_id
            ),
            'assistant', (
                select
                    jsonb_build_object(
                        'id', a.id, 'name', a.name, 'instructions', a.instructions, 'model', a.model,
                        'tools', a.tools, 'options', a.options, 'user_id', a.user_id,
                        'metadata', a.metadata
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
'{"asker", "assistant", "messages", "steps", "summary"} for the holder of the fence, else null. Messages: the
path to the answered one and what the run has said since, oldest first, without replies that have no
text.';

revoke all on function engine.describe_asker(engine.runs)
from public, anon, authenticated, service_role;
