-- Purpose:   members of an organisation cancel, answer again and give outputs in its sessions.
-- Guarantee: a run counts for the limits of whoever asked for it, and for its organisation's. A private
--            assistant answers its owner alone: who has left an organisation instructs nothing there.
-- Caller:    public.cancel_run, regenerate and submit_tool_outputs; inserts into messages.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- Whoever is writing ends first, and whoever begins finds the new functions.
lock table public.messages in share row exclusive mode;

create or replace function engine.lock_own_run(p_run uuid) returns engine.runs
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_run engine.runs;
begin
    select r.* into v_run from engine.runs r
    where r.id = p_run and r.tenant_id = engine.caller_tenant();
    if v_run.id is null or engine.lock_session(v_run.session_id) is null then
        raise exception 'run not found, or not yours' using errcode = '42501';
    end if;
    select r.* into v_run from engine.runs r where r.id = p_run for no key update;
    return v_run;
end
$$;

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
    where m.id = p_message and m.tenant_id = engine.caller_tenant();
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

create or replace function engine.admit_runs(p_session public.chat_sessions, p_count integer) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_set engine.settings;
    v_who text := engine.caller_id();
    v_spared uuid := case p_session.while_running when 'supersede' then p_session.id end;
    v_starting integer := case when v_spared is null then p_count else 1 end;
    v_user engine.admissions;
    v_org engine.admissions;
    v_user_runs integer;
    v_org_runs integer;
begin
    select s.* into strict v_set from engine.settings s;
    v_user := engine.take_places(v_set, 'user', v_who, p_count, 0, 0);
    if v_set.user_open_runs is not null then
        select v_starting + pg_catalog.count(*) into v_user_runs from (
            select from engine.runs r
            where r.requester_id = v_who and r.ended_at is null and r.cancel_requested_at is null
            and r.session_id is distinct from v_spared
            limit v_set.user_open_runs) as enough;
    end if;
    if p_session.org_id is not null then
        -- Only looked at: who is refused now has locked nothing that others need, and woken nobody.
        select a.* into v_org from engine.admissions a
        where a.scope = 'organisation' and a.id = p_session.org_id;
        v_org_runs := v_starting + engine.count_org_runs(
            p_session.org_id, v_spared, v_set.org_open_runs);
    end if;
    perform engine.check_places(v_set, v_user, v_org, p_count, v_user_runs, v_org_runs, p_count);
end
$$;

create or replace function engine.start_run(
    p_session public.chat_sessions, p_message uuid, p_origin text
) returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_requester text := case when engine.caller_is_browser() then engine.caller_id()
        else p_session.user_id end;
    v_is_idle boolean := not engine.has_open_run(p_session.id);
    v_open uuid[];
    v_run uuid;
begin
    if p_session.while_running = 'supersede' and not v_is_idle then
        v_open := engine.open_runs(p_session.id);
    end if;
    insert into engine.runs
        (session_id, user_id, org_id, requester_id, message_id, assistant_id, model, origin, status)
    select p_session.id, p_session.user_id, p_session.org_id, v_requester, p_message, a.id, a.model,
        p_origin, 'waiting'
    from public.assistants a
    where a.id = p_session.assistant_id and (
        a.user_id is null or a.user_id = v_requester or a.visibility = 'everyone'
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

-- Those that were started since the file that added the column.
update engine.runs set requester_id = user_id where requester_id is null;
