-- Purpose:   starting a run, and changing a message.
-- Guarantee: a run is ready, waits behind the open ones, or supersedes them; what is being answered
--            does not change under the model.
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
    from public.assistants a
    where a.id = p_session.assistant_id and (
        a.user_id is null or a.user_id = p_session.user_id or a.visibility = 'everyone'
        or (a.visibility = 'organisation' and a.org_id = p_session.org_id))
    returning id into v_run;
    if not found then
        raise exception 'the assistant of this session is gone, or no longer shared with you'
            using errcode = 'PT409', hint = 'Set another assistant_id.';
    end if;
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

revoke all on function
engine.start_run(public.chat_sessions, uuid, text), engine.check_message_change()
from public, anon, authenticated, service_role;
