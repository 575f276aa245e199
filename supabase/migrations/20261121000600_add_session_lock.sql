-- Purpose:   the tools of every change: the session's lock, the wake-up, the standing parent, events.
-- Guarantee: every function here expects the session row locked by the caller and takes run rows,
--            then message rows, in that order. It never waits for a message that is being deleted.
-- Caller:    the definer functions of later migrations. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.lock_session(p_session uuid) returns public.chat_sessions
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select s from public.chat_sessions as s
    where s.id = p_session
    for no key update;
end;
comment on function engine.lock_session(uuid) is
'The session row, locked until the transaction ends; null when it is gone.';

create function engine.wake(p_payload text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    -- A notifying commit takes a lock of the whole server; the gate lets one at a time pay for it.
    -- Whoever finds the gate shut is found by the pass that the open one wakes, or by polling.
    if p_payload <> 'run' or pg_catalog.pg_try_advisory_xact_lock(7203911546) then
        perform pg_catalog.pg_notify('assistants_wake', p_payload);
    end if;
exception when others then
    null; -- a wake-up is a hint: its failure never fails the write that it announces
end
$$;
comment on function engine.wake(text) is
'Tells the workers at commit: ''run'' (something is ready; may be skipped) or ''cancel:<run>''.';

create function engine.standing_ancestor(p_session uuid, p_message uuid) returns uuid
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_id uuid := p_message;
    v_parent uuid;
begin
    -- A deletion locks its message before it can lock the session: waiting for it would deadlock.
    while v_id is not null loop
        perform from public.messages m
        where m.session_id = p_session and m.id = v_id
        for key share skip locked;
        if found then
            return v_id;
        end if;
        select m.parent_id into v_parent
        from public.messages m where m.session_id = p_session and m.id = v_id;
        v_id := v_parent;
    end loop;
    return null;
end
$$;
comment on function engine.standing_ancestor(uuid, uuid) is
'The message, or its nearest ancestor that nobody is deleting, kept from deletion until commit.';

create function engine.append_event(p_run uuid, p_type text, p_data jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    insert into engine.events (run_id, seq, type, data)
    select
        p_run,
        coalesce(max(e.seq), 0) + 1 as seq,
        p_type,
        p_data
    from engine.events as e
    where e.run_id = p_run;
end;
comment on function engine.append_event(uuid, text, jsonb) is
'Adds the next event of a run whose row the caller has locked.';

revoke all on function
engine.lock_session(uuid), engine.wake(text), engine.standing_ancestor(uuid, uuid),
engine.append_event(uuid, text, jsonb)
from public, anon, authenticated, service_role;
