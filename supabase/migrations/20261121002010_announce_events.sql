-- Purpose:   the word that sessions have new events, for whoever streams them.
-- Guarantee: only a hint: it may be lost, doubled or false. Workers announce after their commits;
--            what ends without a worker is announced at its own commit, unless the server's queue of
--            notifications fills up: at its end it would fail the commit.
-- Caller:    workers, as members of assistants_engine; the engine's own functions.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.announce_events(p_sessions uuid[]) returns void
language plpgsql
volatile
security definer -- so that only whoever may execute it speaks on this channel in our name
set search_path = ''
as $$
begin
    -- A hint need not outlive a crash: whoever listens reads everything when it is back.
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
    for v_first in 1..coalesce(pg_catalog.array_length(p_sessions, 1), 0) by 200 loop
        perform pg_catalog.pg_notify('assistants_events',
            pg_catalog.array_to_string(p_sessions[v_first:v_first + 199], ','));
    end loop;
end
$$;
comment on function engine.announce_events(uuid[]) is
'Tells whoever streams that these sessions have new events. Called in a transaction of its own, after
the one that stored them: a notifying commit takes a lock of the whole server.';

create function engine.tell_streams(p_session uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    if pg_catalog.pg_notification_queue_usage() < 0.5 then
        perform pg_catalog.pg_notify('assistants_events', p_session::text);
    end if;
end
$$;
comment on function engine.tell_streams(uuid) is
'Tells at commit that the session has new events, where no worker will.';

create or replace function engine.wake(p_payload text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
    -- A full queue fails the commit, where nobody can catch it: who is not told polls.
    if pg_catalog.pg_notification_queue_usage() >= 0.5 then
        return;
    end if;
    -- A notifying commit takes a lock of the whole server; the gate lets one at a time pay for it.
    -- Whoever finds the gate shut is found by the pass that the open one wakes, or by polling.
    if p_payload <> 'run' or pg_catalog.pg_try_advisory_xact_lock(7203911546) then
        perform pg_catalog.pg_notify('assistants_wake', p_payload);
    end if;
exception when others then
    null; -- a wake-up is a hint: its failure never fails the write that it announces
end
$$;

create or replace function engine.end_unattended(
    p_run engine.runs, p_status text, p_reason text, p_error text
) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_seen jsonb := engine.streamed_text(p_run.id);
    v_message uuid := (v_seen ->> 'message_id')::uuid;
begin
    begin
        perform engine.end_run(p_run, p_status, v_message,
            case when v_seen ->> 'text' <> '' then pg_catalog.jsonb_build_array(
                pg_catalog.jsonb_build_object('type', 'text', 'text', v_seen -> 'text'))
            else '[]' end,
            p_reason, p_error, null);
    exception when others then
        if sqlstate ~ '^(40|53|55|57|58)' then
            raise; -- may pass: the caller tries again later
        end if;
        -- A text that the database refuses must not hold the session for ever.
        perform engine.end_run(p_run, p_status, v_message, '[]', p_reason, p_error, null);
    end;
    perform engine.tell_streams(p_run.session_id);
end
$$;
comment on function engine.end_unattended(engine.runs, text, text, text) is
'Ends a run that no worker holds; its outcome keeps the text that readers have already seen, unless
the database refuses it. Tells streams.';

revoke all on function engine.announce_events(uuid[]), engine.tell_streams(uuid)
from public, anon, authenticated, service_role;
grant execute on function engine.announce_events(uuid[]) to assistants_engine;
