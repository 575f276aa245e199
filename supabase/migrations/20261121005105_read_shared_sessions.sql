-- Purpose:   what a link shows.
-- Guarantee: title, numbers, roles, texts, citations and times of the current branch; no id, no name,
--            no reasoning, no tool call, no file, no other branch, nothing that waits for its turn.
-- Caller:    anybody who has a link, signed in or not.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.shown_parts(p_content jsonb) returns jsonb
language sql
immutable
security invoker
set search_path = ''
begin atomic
    select
        coalesce(
            jsonb_agg(
                jsonb_build_object('type', part.value -> 'type', 'text', part.value -> 'text')
                order by part.ordinality
            ), '[]'
        )
    from jsonb_array_elements(p_content) with ordinality as part
    where part.value ->> 'type' in ('text', 'citation');
end;
comment on function engine.shown_parts(jsonb) is
'What a stranger may see of a message''s content: texts and citations, their words alone.';

create function engine.read_shared(p_token text, p_after integer, p_limit integer) returns jsonb
language plpgsql
stable
security definer -- a stranger has no rights on sessions and messages
set search_path = ''
as $$
declare
    v_session public.chat_sessions;
    v_after integer := greatest(p_after, 0);
    v_most integer := least(greatest(coalesce(p_limit, 100), 1), 100);
    v_bytes integer := 0;
    v_shown jsonb[] := array[]::jsonb[];
    v_is_more boolean := false;
    v_row record;
begin
    select s.* into v_session
    from public.session_shares h
    inner join public.chat_sessions s on s.id = h.session_id and s.tenant_id = h.tenant_id
    where h.id = engine.share_id(p_token)
    and (h.expires_at is null or h.expires_at > pg_catalog.clock_timestamp());
    if not found then
        raise exception 'there is no such link, or no longer' using errcode = 'PT404';
    end if;
    -- One after the other: a page has room for few messages, if they are large.
    for v_row in
        with recursive path as (
            select m.id, m.parent_id, 1 as depth from public.messages m
            where m.session_id = v_session.id and m.id = v_session.head_id
            union all
            select m.id, m.parent_id, p.depth + 1 from path p
            inner join public.messages m on m.session_id = v_session.id and m.id = p.parent_id
        ),
        numbered as (
            select p.id, pg_catalog.row_number() over (order by p.depth desc) as no from path p
        )
        select n.no, m.role, m.status, m.content, m.created_at from numbered n
        inner join public.messages m on m.session_id = v_session.id and m.id = n.id
        where n.no > v_after
        order by n.no limit v_most + 1
    loop
        v_is_more := pg_catalog.cardinality(v_shown) = v_most or v_bytes >= 4194304;
        exit when v_is_more;
        v_bytes := v_bytes + pg_catalog.octet_length(v_row.content::text);
        v_shown := v_shown || pg_catalog.jsonb_build_object(
            'number', v_row.no, 'role', v_row.role, 'status', v_row.status,
            'content', engine.shown_parts(v_row.content), 'created_at', v_row.created_at);
    end loop;
    return pg_catalog.jsonb_build_object(
        'title', v_session.title, 'messages', pg_catalog.to_jsonb(v_shown), 'more', v_is_more);
end
$$;
comment on function engine.read_shared(text, integer, integer) is
'{"title", "messages", "more"}: the next messages of the branch behind a number, at most 100, and few
where they are large: the page ends with the one that makes it 4 MB.';

create function public.read_shared_session(
    p_token text, p_after integer default 0, p_limit integer default 100
) returns jsonb
language sql
volatile -- so that the Data API takes it by POST alone, and no URL holds a link
security invoker
set search_path = ''
begin atomic
    select engine.read_shared(p_token, p_after, p_limit);
end;
comment on function public.read_shared_session(text, integer, integer) is
'What a link shows: {"title", "messages": [{"number", "role", "status", "content", "created_at"}],
"more"}. Give the last number as p_after for the next page. PT404 for a link that opens nothing.';

revoke all on function engine.shown_parts(jsonb), engine.read_shared(text, integer, integer),
public.read_shared_session(text, integer, integer)
from public, anon, authenticated, service_role;
-- Strangers: whoever has a link, signed in or not.
grant execute on function
engine.read_shared(text, integer, integer), public.read_shared_session(text, integer, integer)
to anon, authenticated;
