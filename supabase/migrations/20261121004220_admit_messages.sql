-- Purpose:   a message of a browser needs a place, and one for its run.
-- Guarantee: rows that were skipped as conflicts take none; the service, imports and the worker are
--            not limited. A refused statement has woken nobody, and its places are free again.
-- Caller:    every insert into messages; public.regenerate, in the migration after the next.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.admit_runs(p_session public.chat_sessions, p_count integer) returns void
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
            where r.user_id = v_who and r.ended_at is null and r.cancel_requested_at is null
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
comment on function engine.admit_runs(public.chat_sessions, integer) is
'Takes the caller''s places for so many messages and their runs, before these are started. The
session, which the caller has locked, may supersede: then one of its runs stays open.';

create function engine.count_org_runs(p_org text, p_spared uuid, p_most integer) returns integer
language sql
volatile -- sees what was committed since the statement began
security invoker
set search_path = ''
begin atomic
    select count(*)::integer
    from (
        select from engine.runs as r
        where
            r.org_id = p_org and r.ended_at is null and r.cancel_requested_at is null
            and r.session_id is distinct from p_spared
        order by r.org_id
        limit coalesce(p_most + 1, 0)
    ) as enough;
end;
comment on function engine.count_org_runs(text, uuid, integer) is
'The organisation''s open runs, without those of the session that is spared; counted only as far as it
matters for this limit.';

create function engine.settle_runs(p_org text, p_count integer) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_set engine.settings;
    v_org engine.admissions;
begin
    if p_org is not null then
        select s.* into strict v_set from engine.settings s;
        v_org := engine.take_places(v_set, 'organisation', p_org, p_count, 0, 0);
        perform engine.check_places(v_set, null, v_org, 0, null,
            engine.count_org_runs(p_org, null, v_set.org_open_runs), p_count);
    end if;
end
$$;
comment on function engine.settle_runs(text, integer) is
'Takes the organisation''s places, after the runs have been started. Refuses only what slipped in
between: the row is locked, and others come to it at the end of their transactions, too.';

create function engine.admit_messages() returns trigger
language plpgsql
security definer -- counts what a browser may not see
set search_path = ''
as $$
declare
    v_session uuid;
    v_count integer;
begin
    if engine.caller_is_browser() then
        -- Of one session: check_caller_owns has seen to that. A cancelled run's reply is free.
        select pg_catalog.count(*), (pg_catalog.array_agg(i.session_id))[1] into v_count, v_session
        from inserted i where i.role = 'user';
    end if;
    if v_count > 0 then
        perform engine.admit_runs(s, v_count) from public.chat_sessions s where s.id = v_session;
    end if;
    return null;
end
$$;
comment on function engine.admit_messages() is
'Trigger, before runs are started: a browser''s messages take the places of their user.';

create function engine.settle_messages() returns trigger
language plpgsql
security definer -- counts what a browser may not see
set search_path = ''
as $$
declare
    v_org text;
    v_count integer;
begin
    if engine.caller_is_browser() then
        select pg_catalog.count(*), pg_catalog.min(i.org_id) into v_count, v_org
        from inserted i where i.role = 'user';
        perform engine.settle_runs(v_org, v_count);
    end if;
    return null;
end
$$;
comment on function engine.settle_messages() is
'Trigger, after runs were started: a browser''s messages take the places of their organisation.';

-- Triggers of one statement fire by name: admit, enqueue, settle.
create trigger admit_messages after insert on public.messages
referencing new table as inserted
for each statement execute function engine.admit_messages();
create trigger settle_messages after insert on public.messages
referencing new table as inserted
for each statement execute function engine.settle_messages();

revoke all on function
engine.admit_runs(public.chat_sessions, integer), engine.count_org_runs(text, uuid, integer),
engine.settle_runs(text, integer), engine.admit_messages(), engine.settle_messages()
from public, anon, authenticated, service_role;
