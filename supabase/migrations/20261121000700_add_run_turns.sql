-- Purpose:   whose turn it is: promotion, cancellation, supersession.
-- Guarantee: the oldest waiting run follows the live one; its message joins the path at that moment.
--            A cancelled waiting run still ends in its turn, so the path stays in order.
-- Caller:    triggers and service functions, with the session row locked. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.open_runs(p_session uuid) returns uuid[]
language sql
stable
security invoker
set search_path = ''
begin atomic
    -- Two reads of two partial indexes; one read would go through every run that ever was.
    select array_agg(r.id)
    from (
        select l.id from engine.runs as l
        where
            l.session_id = p_session
            and l.status in ('ready', 'running', 'requires_action', 'cancelling')
        union all
        select w.id from engine.runs as w
        where w.session_id = p_session and w.status = 'waiting'
    ) as r;
end;
comment on function engine.open_runs(uuid) is
'The ids of the session''s live and waiting runs; null if there are none.';

create function engine.has_open_run(p_session uuid) returns boolean
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        exists (
            select from engine.runs as r
            where
                r.session_id = p_session
                and r.status in ('ready', 'running', 'requires_action', 'cancelling')
        )
        or exists (
            select from engine.runs as r
            where r.session_id = p_session and r.status = 'waiting'
        );
end;
comment on function engine.has_open_run(uuid) is
'Whether the session has a live or a waiting run.';

create function engine.end_unattended(
    p_run engine.runs, p_status text, p_reason text, p_error text
) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_seen jsonb := engine.streamed_text(p_run.id);
begin
    perform engine.end_run(
        p_run, p_status, (v_seen ->> 'message_id')::uuid,
        case when v_seen ->> 'text' <> '' then pg_catalog.jsonb_build_array(
            pg_catalog.jsonb_build_object('type', 'text', 'text', v_seen -> 'text'))
        else '[]' end,
        p_reason, p_error, null);
end
$$;
comment on function engine.end_unattended(engine.runs, text, text, text) is
'Ends a run that no worker holds; its outcome keeps the text that readers have already seen.';

create function engine.join_path(p_run engine.runs) returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_message public.messages;
    v_head uuid;
begin
    select m.* into v_message from public.messages m
    where m.session_id = p_run.session_id and m.id = p_run.message_id
    for key share skip locked;
    if not found then
        return false;
    end if;
    if v_message.parent_id is null and p_run.origin = 'insert' then
        select s.head_id into v_head from public.chat_sessions s where s.id = p_run.session_id;
        update public.messages m
        set parent_id = engine.standing_ancestor(p_run.session_id, v_head)
        where m.id = v_message.id and v_head <> m.id;
    end if;
    update public.chat_sessions s set head_id = v_message.id where s.id = p_run.session_id;
    return true;
end
$$;
comment on function engine.join_path(engine.runs) is
'The run''s message is the head; without a parent of its own it follows the old head. False when
the message is gone or being deleted.';

create function engine.promote(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_run engine.runs;
    v_joined boolean;
begin
    for v_ended in 0..50 loop
        exit when exists (
            select from engine.runs r where r.session_id = p_session
            and r.status in ('ready', 'running', 'requires_action', 'cancelling'));
        select r.* into v_run from engine.runs r
        where r.session_id = p_session and r.status = 'waiting'
        order by r.queued_no limit 1
        for no key update;
        exit when not found;
        v_joined := engine.join_path(v_run);
        if v_joined and v_run.cancel_requested_at is null then
            update engine.runs r
            set status = 'ready', run_after = pg_catalog.clock_timestamp() where r.id = v_run.id;
            perform engine.wake('run');
        elsif v_ended < 50 then
            perform engine.end_run(v_run, 'cancelled', null, '[]',
                case when v_joined then v_run.cancel_reason else 'deleted' end, null, null);
        else
            -- One transaction must not end thousands: the reaper goes on with this one.
            update engine.runs r
            set status = 'cancelling', lease_until = pg_catalog.clock_timestamp(),
                cancel_reason = case when v_joined then r.cancel_reason else 'deleted' end
            where r.id = v_run.id;
            perform engine.wake('run');
        end if;
    end loop;
end
$$;
comment on function engine.promote(uuid) is
'The session''s oldest waiting run is ready unless a live one holds the slot. Cancelled ones before it
have ended; after 50 of them the reaper takes over.';

create function engine.request_cancel(p_run uuid, p_reason text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_run engine.runs;
begin
    select r.* into v_run from engine.runs r where r.id = p_run for no key update;
    case v_run.status
        when 'waiting' then
            update engine.runs r
            set cancel_requested_at = coalesce(r.cancel_requested_at, pg_catalog.clock_timestamp()),
                cancel_reason = coalesce(r.cancel_reason, p_reason)
            where r.id = p_run;
        when 'ready', 'requires_action' then
            perform engine.end_unattended(v_run, 'cancelled', p_reason, null);
            perform engine.promote(v_run.session_id);
        when 'running' then
            update engine.runs r
            set status = 'cancelling', cancel_reason = p_reason,
                cancel_requested_at = pg_catalog.clock_timestamp()
            where r.id = p_run;
            perform engine.wake('cancel:' || p_run);
        else
            null; -- ended or already cancelling: asking again changes nothing
    end case;
end
$$;
comment on function engine.request_cancel(uuid, text) is
'The run is cancelled, or will be: by its worker, or when its turn comes. The session is locked.';

create function engine.cancel_open_runs(p_runs uuid[], p_reason text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_id uuid;
begin
    -- Waiting runs first: ending the live one gives the next its turn.
    for v_id in
        select r.id from engine.runs r where r.id = any (p_runs)
        order by r.status <> 'waiting', r.queued_no
    loop
        perform engine.request_cancel(v_id, p_reason);
    end loop;
end
$$;
comment on function engine.cancel_open_runs(uuid[], text) is
'Each open run of the list is cancelled or will be. All are of one session, which is locked.';

revoke all on function
engine.open_runs(uuid), engine.has_open_run(uuid), engine.end_unattended(engine.runs, text, text, text),
engine.join_path(engine.runs), engine.promote(uuid), engine.request_cancel(uuid, text),
engine.cancel_open_runs(uuid[], text)
from public, anon, authenticated, service_role;
