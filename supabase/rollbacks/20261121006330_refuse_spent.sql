-- Purpose:   undoes that messages ask a budget.
-- Guarantee: the other limits hold as before.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

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

drop function engine.refuse_spent(text, text, uuid);
