-- Purpose:   deleting messages; attaches the triggers of messages.
-- Guarantee: deleting a message cancels its run and hands its children to the grandparent.
-- Caller:    every statement on public.messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.lock_deleted() returns trigger
language plpgsql
security definer -- locks the session whatever the caller may update
set search_path = ''
as $$
begin
    -- Nothing to do in a cascade: the session row is gone already.
    if exists (select from public.chat_sessions s where s.id = old.session_id) then
        if engine.caller_is_browser() then
            perform engine.check_caller_owns(old.session_id);
        end if;
        perform engine.lock_session(old.session_id);
    end if;
    return old;
end
$$;
comment on function engine.lock_deleted() is
'Trigger: the session of a message is locked before its runs are touched.';

create function engine.adopt_children(p_session uuid, p_message uuid, p_ancestor uuid) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    update public.messages as m
    set parent_id = p_ancestor
    where m.session_id = p_session and m.parent_id = p_message;
    update public.chat_sessions as s
    set head_id = p_ancestor
    where s.id = p_session and s.head_id = p_message;
end;
comment on function engine.adopt_children(uuid, uuid, uuid) is
'Children of a deleted message hang on its ancestor, and the head is not the deleted message.';

create function engine.close_gap() returns trigger
language plpgsql
security definer -- moves heads and parents and cancels runs, which a browser may not
set search_path = ''
as $$
declare
    v_session public.chat_sessions;
    v_parents jsonb; -- of the deleted: each step up is a look-up, not a scan of what was deleted
    v_missed uuid;
    v_ancestor uuid;
    v_runs uuid[];
begin
    -- Each write names its session: a statement over them all would keep one plan for all sizes.
    for v_session in
        select s.* from public.chat_sessions s
        where s.id = any (array(select distinct d.session_id from deleted d)) order by s.id
    loop
        select pg_catalog.jsonb_object_agg(d.id, d.parent_id) into v_parents
        from deleted d where d.session_id = v_session.id;
        for v_missed in
            select d.id from deleted d
            where d.session_id = v_session.id and (d.id = v_session.head_id or exists (
                select from public.messages m
                where m.session_id = v_session.id and m.parent_id = d.id))
        loop
            v_ancestor := v_missed;
            while v_parents ? v_ancestor::text loop
                v_ancestor := v_parents ->> v_ancestor::text;
            end loop;
            perform engine.adopt_children(v_session.id, v_missed, v_ancestor);
        end loop;
        with orphaned as (
            update engine.runs r set message_id = null
            where r.session_id = v_session.id and r.message_id = any (array(
                select d.id from deleted d where d.session_id = v_session.id))
            returning r.id, r.ended_at
        )
        select pg_catalog.array_agg(o.id) into v_runs from orphaned o where o.ended_at is null;
        perform engine.cancel_open_runs(v_runs, 'deleted');
    end loop;
    return null;
end
$$;
comment on function engine.close_gap() is
'Trigger: children of deleted messages hang on the nearest surviving ancestor, the head is a
surviving message, and the runs of the deleted messages are cancelled.';

create trigger begin_message_statement before insert or delete on public.messages
for each statement execute function engine.begin_message_statement();
create trigger place_message before insert on public.messages
for each row execute function engine.place_message();
create trigger enqueue_messages after insert on public.messages
referencing new table as inserted
for each statement execute function engine.enqueue_messages();
create trigger check_message_change before update of content, metadata on public.messages
for each row execute function engine.check_message_change();
create trigger lock_deleted before delete on public.messages
for each row execute function engine.lock_deleted();
create trigger close_gap after delete on public.messages
referencing old table as deleted
for each statement execute function engine.close_gap();

revoke all on function
engine.begin_message_statement(),
engine.place_message(), engine.choose_parent(public.messages, uuid), engine.enqueue_messages(),
engine.adopt_children(uuid, uuid, uuid),
engine.lock_deleted(), engine.close_gap()
from public, anon, authenticated, service_role;
