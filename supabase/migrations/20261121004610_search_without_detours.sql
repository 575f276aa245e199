-- Purpose:   a search reads what has the words, however much its user has written.
-- Guarantee: finds what it found before. The planner combined the index of the words with the one of
--            the user's messages, twice, and read every entry of whoever has far more than others:
--            50,000 for two results. Now the words alone find, and each message is fetched by its id.
-- Caller:    a browser.

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
    ),

    found as materialized (
        select
            m.id,
            m.session_id,
            m.user_id,
            m.position
        from public.messages as m
        where
            engine.search_vector(m.user_id, m.content) @@ (
                select words && ('''' || engine.owner_lexeme((select engine.caller_id())) || '''')::tsquery
                from wanted
                where numnode(words) > 0
            )
    )

    select f.id
    from found as f
    where
        f.user_id = (select engine.caller_id())
        and (p_session is null or f.session_id = p_session)
        and (p_before is null or f.position < p_before)
    order by f.position desc
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
    select m.it
    from engine.find_messages(p_query, p_session, p_limit, p_before) as f (id)
    cross join
        lateral (
            select m as it
            from public.messages as m
            where m.id = f.id
            order by m.id
            limit 1
        ) as m
    order by (m.it).position desc;
end;
