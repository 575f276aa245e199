-- Purpose:   undoes that a search takes no detours.
-- Guarantee: it finds the same, more slowly where one user has far more messages than others.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.find_messages(
    p_query text, p_session uuid, p_limit integer, p_before bigint
) returns setof uuid
language sql
stable
security definer -- under row-level security no index serves @@, which is not leakproof
set search_path = ''
begin atomic
    with wanted as materialized (
        select websearch_to_tsquery('simple', left(p_query, 1000)) as words
    )

    select m.id
    from public.messages as m
    where
        engine.search_vector(m.user_id, m.content) @@ (
            select words && ('''' || engine.owner_lexeme((select engine.caller_id())) || '''')::tsquery
            from wanted
            where numnode(words) > 0
        )
        and m.user_id = (select engine.caller_id())
        and (p_session is null or m.session_id = p_session)
        and (p_before is null or m.position < p_before)
    order by m.position desc
    limit least(greatest(p_limit, 0), 100);
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
    select m
    from public.messages as m
    where
        m.id = any(
            array(select f.id from engine.find_messages(p_query, p_session, p_limit, p_before) as f (id))
        )
    order by m.position desc;
end;
