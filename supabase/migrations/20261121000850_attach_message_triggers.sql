-- Purpose:   starting a run, changing and deleting messages; attaches the triggers of messages.
-- Guarantee: deleting a message cancels its run and hands its children to the grandparent.
-- Caller:    every statement on public.messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.start_run(
    p_session public.chat_sessions, p_message uuid, p_origin text
) returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_is_idle boolean := not engine.has_open_run(p_session.id);
    v_open uuid[];
    v_run uuid;
begin
    if p_session.while_running = 'supersede' and not v_is_idle then
        v_open := engine.open_runs(p_session.id);
    end if;
    insert into engine.runs
        (session_id, user_id, org_id, message_id, assistant_id, model, origin, status)
    select p_session.id, p_session.user_id, p_session.org_id, p_message, a.id, a.model, p_origin,
        'waiting'
    from public.assistants a where a.id = p_session.assistant_id
    returning id into strict v_run;
    if v_is_idle then
        perform engine.promote(p_session.id);
    end if;
    perform engine.cancel_open_runs(v_open, 'superseded');
    return v_run;
end
$$;
comment on function engine.start_run(public.chat_sessions, uuid, text) is
'A new run for the message: ready, or waiting behind the open ones, or superseding them.';

create function engine.check_message_change() returns trigger
language plpgsql
security definer -- reads engine.runs
set search_path = ''
as $$
begin
    new.updated_at := greatest(pg_catalog.clock_timestamp(), old.updated_at);
    if new.content is not distinct from old.content or not engine.caller_is_browser() then
        return new;
    end if;
    if old.role <> 'user' then
        raise exception 'only your own words can be changed' using errcode = '42501';
    end if;
    if exists (
        select from engine.runs r
        where r.session_id = old.session_id and r.message_id = old.id and r.ended_at is null
    ) then
        raise exception 'the message is being answered' using errcode = 'PT409',
            hint = 'Wait for the run to end, or cancel it.';
    end if;
    new.content := engine.check_user_content(new.content);
    return new;
end
$$;
comment on function engine.check_message_change() is
'Trigger: a user changes the content of own messages only, and only without an open run.';

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

create function engine.close_gap() returns trigger
language plpgsql
security definer -- moves heads and parents and cancels runs, which a browser may not
set search_path = ''
as $$
declare
    v_session uuid;
    v_runs uuid[];
begin
    with recursive climb (session_id, id, ancestor) as (
        select d.session_id, d.id, d.parent_id from deleted d
        join public.chat_sessions s on s.id = d.session_id
        where s.head_id = d.id or exists (
            select from public.messages c
            where c.session_id = d.session_id and c.parent_id = d.id)
        union all
        select c.session_id, c.id, d.parent_id from climb c join deleted d on d.id = c.ancestor
    ), nearest as (
        select c.* from climb c where not exists (select from deleted d where d.id = c.ancestor)
    ), adopted as (
        update public.messages m set parent_id = n.ancestor from nearest n
        where m.session_id = n.session_id and m.parent_id = n.id
    )
    update public.chat_sessions s set head_id = n.ancestor from nearest n
    where s.id = n.session_id and s.head_id = n.id;

    for v_session in
        select distinct d.session_id from deleted d
        join public.chat_sessions s on s.id = d.session_id order by 1
    loop
        with orphaned as (
            update engine.runs r set message_id = null from deleted d
            where r.session_id = v_session and r.message_id = d.id
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
create trigger enqueue_message after insert on public.messages
for each row execute function engine.enqueue_message();
create trigger check_message_change before update of content, metadata on public.messages
for each row execute function engine.check_message_change();
create trigger lock_deleted before delete on public.messages
for each row execute function engine.lock_deleted();
create trigger close_gap after delete on public.messages
referencing old table as deleted
for each statement execute function engine.close_gap();

revoke all on function
engine.check_user_content(jsonb), engine.check_caller_owns(uuid), engine.begin_message_statement(),
engine.place_message(), engine.choose_parent(public.messages, uuid), engine.enqueue_message(),
engine.start_run(public.chat_sessions, uuid, text), engine.check_message_change(),
engine.lock_deleted(), engine.close_gap()
from public, anon, authenticated, service_role;
