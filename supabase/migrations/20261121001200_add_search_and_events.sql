-- Purpose:   finding messages by words; reading events; housekeeping; the schema's version.
-- Guarantee: a search returns rows that the caller's own policies let it read, whatever is found.
-- Caller:    a browser (search_messages); the service (the rest).

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.find_messages(
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
        select
            words && ('''' || engine.owner_lexeme((select engine.caller_id())) || '''')::tsquery
        from wanted
        where numnode(words) > 0
    )
    and m.user_id = (select engine.caller_id())
    and (p_session is null or m.session_id = p_session)
    and (p_before is null or m.position < p_before)
order by m.position desc
limit least(greatest(p_limit, 0), 100);
end;
comment on function engine.find_messages(text, uuid, integer, bigint) is
'Ids of the caller''s messages with the words, the newest first.';

create function public.search_messages(
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
comment on function public.search_messages(text, uuid, integer, bigint) is
'Your messages with these words (web search syntax), the newest first, at most 100. For the next page
give the last one''s position as p_before.';

create function engine.read_events(p_cursors jsonb) returns jsonb
language sql
stable
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
with given as (
    select g.run_id, coalesce(g.after, 0) as after
    from jsonb_to_recordset(p_cursors) as g (run_id uuid, after integer)
),

found as (
    select
        g.run_id, g.after, r.status, r.events_purged
    from given as g
    inner join engine.runs as r on g.run_id = r.id
)

select
    coalesce(jsonb_agg(
        jsonb_build_object(
            'run_id', f.run_id,
            'status', f.status,
            'events', (
                select
                    coalesce(jsonb_agg(
                        jsonb_build_object('seq', e.seq, 'type', e.type, 'data', e.data)
                        order by e.seq
                    ), '[]')
                from (
                    select e.seq, e.type, e.data
                    from engine.events as e
                    where e.run_id = f.run_id and e.seq > f.after
                    order by e.seq
                    limit 1000
                ) as e
            ),
            'snapshot', case
                when f.events_purged then (
                    select
                        coalesce(jsonb_agg(
                            jsonb_build_object(
                                'message_id', m.id, 'content', m.content, 'status', m.status,
                                'reason', m.reason, 'error', m.error
                            )
                            order by m.position
                        ), '[]')
                    from public.messages as m
                    where m.run_id = f.run_id
                )
            end
        )
    ), '[]')
from found as f;
end;
comment on function engine.read_events(jsonb) is
'For each cursor {"run_id", "after"} the events behind it, at most 1,000; for a run whose events have
been purged a snapshot of its messages instead. The caller has checked who may read which run.';

create function engine.purge(p_limit integer) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_session uuid;
    v_promoted integer := 0;
    v_events integer;
begin
    for v_session in
        select distinct r.session_id from engine.runs r
        where r.status = 'waiting' and not exists (
            select from engine.runs l where l.session_id = r.session_id
            and l.status in ('ready', 'running', 'requires_action', 'cancelling'))
        limit p_limit
    loop
        perform from public.chat_sessions s where s.id = v_session for no key update skip locked;
        continue when not found;
        perform engine.promote(v_session);
        v_promoted := v_promoted + 1;
    end loop;
    with purged as (
        update engine.runs r set events_purged = true
        where r.id in (
            select o.id from engine.runs o, engine.settings s
            where o.ended_at < pg_catalog.statement_timestamp()
                - pg_catalog.make_interval(secs => s.event_ttl_s)
            and not o.events_purged
            order by o.ended_at limit p_limit
            for no key update of o skip locked)
        returning r.id
    )
    delete from engine.events e using purged where e.run_id = purged.id;
    get diagnostics v_events = row_count;
    return pg_catalog.jsonb_build_object('events', v_events, 'promoted', v_promoted);
end
$$;
comment on function engine.purge(integer) is
'{"events", "promoted"}: events are gone an hour after their run''s end; a session with waiting runs
and no live one, which nothing should leave behind, goes on.';

create function engine.schema_version() returns text
language plpgsql
stable
security definer -- the service has no rights on tables
set search_path = ''
as $$
begin
    return (select max(m.version) from supabase_migrations.schema_migrations m);
exception when undefined_table or invalid_schema_name then
    return null;
end
$$;
comment on function engine.schema_version() is
'The version of the newest migration that was applied, or null where none was recorded.';

revoke all on function
engine.find_messages(text, uuid, integer, bigint), engine.read_events(jsonb),
engine.purge(integer), engine.schema_version(),
public.search_messages(text, uuid, integer, bigint)
from public, anon, authenticated, service_role;
grant execute on function engine.find_messages(text, uuid, integer, bigint),
public.search_messages(text, uuid, integer, bigint) to authenticated;
grant execute on function engine.read_events(jsonb), engine.purge(integer), engine.schema_version()
to assistants_engine;
