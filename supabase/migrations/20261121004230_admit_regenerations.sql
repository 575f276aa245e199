-- Purpose:   answering again needs the places that a message needs.
-- Guarantee: same name, arguments, rights and answers; a model's time cannot be had around the limits.
-- Caller:    public.regenerate.

set lock_timeout = '5s';
set statement_timeout = '60s';

create or replace function engine.regenerate_own(p_message uuid) returns setof public.runs
language plpgsql
volatile
security definer -- a browser may not write engine.runs
set search_path = ''
as $$
declare
    v_asked public.messages;
    v_session public.chat_sessions;
    v_target uuid;
    v_run uuid;
begin
    select m.* into v_asked from public.messages m
    where m.id = p_message and m.user_id = engine.caller_id();
    v_session := engine.lock_session(v_asked.session_id);
    if v_session.id is null then
        raise exception 'message not found, or not yours' using errcode = '42501';
    elsif v_session.status = 'archived' then
        raise exception 'the session is archived' using errcode = 'PT409',
            hint = 'Set its status to active first.';
    end if;
    v_target := case v_asked.role when 'user' then v_asked.id else (
        select r.message_id from engine.runs r where r.id = v_asked.run_id) end;
    perform from public.messages m
    where m.session_id = v_session.id and m.id = v_target and m.role = 'user'
    for key share skip locked;
    if not found then
        raise exception 'there is no message of yours to answer again' using errcode = 'PT409';
    elsif exists (select from engine.runs r where r.session_id = v_session.id
        and r.message_id = v_target and r.ended_at is null) then
        raise exception 'the message is being answered' using errcode = 'PT409',
            hint = 'Wait for the run to end, or cancel it.';
    end if;
    perform engine.admit_runs(v_session, 1);
    v_run := engine.start_run(v_session, v_target, 'regenerate');
    perform engine.settle_runs(v_session.org_id, 1);
    return query select r.* from public.runs r where r.id = v_run;
end
$$;
