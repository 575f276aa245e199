-- Purpose:   binds the functions that return rows to the columns of this day again.
-- Guarantee: same names, arguments, rights and answers.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.message_path(p_session uuid, p_tip uuid, p_limit integer)
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

create or replace function public.search_messages(
    p_query text, p_session uuid default null, p_limit integer default 20,
    p_before bigint default null
) returns setof public.messages
language sql
stable
security invoker
set search_path = ''
begin atomic
    select m.*
    from public.messages as m
    where
        m.id = any(
            array(select f.id from engine.find_messages(p_query, p_session, p_limit, p_before) as f (id))
        )
    order by m.position desc;
end;

create or replace function public.cancel_run(p_run uuid) returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.cancel_own_run(p_run);
    select r.* from public.runs as r where r.id = p_run;
end;

create or replace function public.regenerate(p_message uuid) returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select r.* from engine.regenerate_own(p_message) as r;
end;

create or replace function public.submit_tool_outputs(p_run uuid, p_outputs jsonb)
returns setof public.runs
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.submit_own_outputs(p_run, p_outputs);
    select r.* from public.runs as r where r.id = p_run;
end;
