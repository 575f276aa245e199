-- Purpose:   what an insert, a change and a deletion of messages do.
-- Guarantee: the caller's ownership is checked before anything is locked; a skipped conflict changes
--            nothing; a user message and its run commit together or not at all.
-- Caller:    every statement on public.messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.begin_message_statement() returns trigger
language plpgsql
security definer -- reads a sequence that a browser may not touch
set search_path = ''
as $$
begin
    perform pg_catalog.set_config('engine.statement_session', '', true);
    perform pg_catalog.set_config(
        'engine.statement_start',
        (case when s.is_called then s.last_value else 0 end)::text, true)
    from engine.message_positions s;
    return null;
end
$$;
comment on function engine.begin_message_statement() is
'Trigger: the statement has touched no session yet; its rows will have later positions than this.';

create function engine.place_message() returns trigger
language plpgsql
security definer -- locks the session and draws from a sequence that a browser may not touch
set search_path = ''
as $$
declare
    v_session public.chat_sessions;
begin
    if new.role = 'user' then
        if engine.caller_is_browser() then
            perform engine.check_caller_owns(new.session_id);
        end if;
        new.content := engine.check_user_content(new.content);
    end if;
    v_session := engine.lock_session(new.session_id);
    if v_session.id is null then
        raise exception 'session not found, or not yours' using errcode = '42501';
    end if;
    if new.role = 'user' and v_session.status = 'archived' then
        raise exception 'the session is archived' using errcode = 'PT409',
            hint = 'Set its status to active first.';
    end if;
    new.starts_run := new.starts_run and new.role = 'user';
    new.user_id := v_session.user_id;
    new.org_id := v_session.org_id;
    new.position := pg_catalog.nextval('engine.message_positions');
    new.created_at := greatest(pg_catalog.clock_timestamp(), v_session.last_message_at);
    new.updated_at := new.created_at;
    new.parent_id := engine.choose_parent(new, v_session.head_id);
    return new;
end
$$;
comment on function engine.place_message() is
'Trigger: owner, order, time and parent come from the database; nothing else is written yet.';

create function engine.choose_parent(p_message public.messages, p_head uuid) returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_start bigint := pg_catalog.current_setting('engine.statement_start')::bigint;
    v_before public.messages; -- the newest row of this same statement, which no head knows yet
begin
    if p_message.parent_id is not null then
        perform from public.messages m
        where m.session_id = p_message.session_id and m.id = p_message.parent_id
        for key share skip locked;
        if not found then
            raise exception 'parent_id is not a message of this session' using errcode = '23503';
        end if;
        return p_message.parent_id;
    end if;
    select m.* into v_before from public.messages m
    where m.session_id = p_message.session_id and m.user_id = p_message.user_id
    and m.position > v_start
    order by m.position desc limit 1;
    if p_message.starts_run and (v_before.starts_run or engine.has_open_run(p_message.session_id)) then
        return null;
    end if;
    return engine.standing_ancestor(
        p_message.session_id, case when v_before.starts_run then p_head
        else coalesce(v_before.id, p_head) end);
end
$$;
comment on function engine.choose_parent(public.messages, uuid) is
'The given parent, the row before in the same statement, the head, or null for a message that must
wait for its turn.';


create function engine.enqueue_messages() returns trigger
language plpgsql
security definer -- writes engine.runs, which a browser may not
set search_path = ''
as $$
declare
    v_session public.chat_sessions;
    v_message uuid;
begin
    for v_session in
        select s.* from public.chat_sessions s
        where s.id = any (array(select distinct i.session_id from inserted i)) order by s.id
    loop
        update public.chat_sessions s
        set last_message_at = (
                select max(i.created_at) from inserted i where i.session_id = s.id),
            head_id = coalesce((
                select i.id from inserted i where i.session_id = s.id and not i.starts_run
                order by i.position desc limit 1), s.head_id)
        where s.id = v_session.id;
        for v_message in
            select i.id from inserted i where i.session_id = v_session.id and i.starts_run
            order by i.position
        loop
            perform engine.start_run(v_session, v_message, 'insert');
        end loop;
    end loop;
    return null;
end
$$;
comment on function engine.enqueue_messages() is
'Trigger: the outbox. User messages and their runs commit together; other messages move the head.
Once a statement: an update of the session for each row would make an import quadratic.';
