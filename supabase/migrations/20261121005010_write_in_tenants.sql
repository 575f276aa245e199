-- Purpose:   members of an organisation write to its sessions.
-- Guarantee: a message has its writer's id; the session's tenant stays. Foreign and missing sessions
--            are refused in the same words, before anything is locked.
-- Caller:    every insert into messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- Whoever is writing ends first, and whoever begins finds the new functions.
lock table public.messages in share row exclusive mode;

create or replace function engine.check_caller_owns(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    if not exists (
        select from public.chat_sessions s
        where s.id = p_session and s.tenant_id = engine.caller_tenant()
    ) then
        raise exception 'session not found, or not yours' using errcode = '42501';
    end if;
    if coalesce(nullif(pg_catalog.current_setting('engine.statement_session', true), ''),
        p_session::text) <> p_session::text then
        raise exception 'a statement on messages touches one session' using errcode = '23514';
    end if;
    perform pg_catalog.set_config('engine.statement_session', p_session::text, true);
end
$$;

comment on function engine.check_caller_owns(uuid) is
'Raises 42501, the same for a foreign and a missing session, unless it is of the caller''s tenant;
23514 for the second session of one statement.';

create or replace function engine.place_message() returns trigger
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
    new.author_id := case when new.role = 'user' then
        case when engine.caller_is_browser() then engine.caller_id() else v_session.user_id end end;
    new.position := pg_catalog.nextval('engine.message_positions');
    new.created_at := greatest(pg_catalog.clock_timestamp(), v_session.last_message_at);
    new.updated_at := new.created_at;
    new.parent_id := engine.choose_parent(new, v_session.head_id);
    return new;
end
$$;

create or replace function engine.choose_parent(p_message public.messages, p_head uuid) returns uuid
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
    where m.session_id = p_message.session_id
    and m.tenant_id = coalesce(p_message.org_id, p_message.user_id)
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

-- Those that were written since the file that added the column.
update public.messages set author_id = user_id where author_id is null and role = 'user';
