-- Purpose:   a message of a browser needs what is left of a budget.
-- Guarantee: same name, arguments and rights; what a budget refuses is refused as other limits are,
--            with 429, before anything is stored, and says when the budget begins anew.
-- Caller:    every insert into messages; public.regenerate.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.refuse_spent(p_user text, p_org text, p_assistant uuid) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_found jsonb;
begin
    -- Almost always there is none.
    if not exists (select from engine.budgets b
        where coalesce(b.hard_tokens::numeric, b.hard_usd) is not null) then
        return;
    end if;
    v_found := engine.find_budget(p_user, p_org, p_assistant, null, false);
    if v_found ->> 'state' = 'hard' then
        raise sqlstate 'PGRST' using
            message = pg_catalog.jsonb_build_object(
                'code', 'PT429',
                'message', pg_catalog.format('%s Try again in %s s.',
                    v_found ->> 'said', v_found ->> 'wait_s'),
                'details', pg_catalog.jsonb_build_object(
                    'limit', v_found -> 'limit', 'retry_after_s', v_found -> 'wait_s')::text,
                'hint', 'Nothing was stored: wait for the next day or month, or ask the operator.'),
            detail = pg_catalog.jsonb_build_object(
                'status', 429, 'status_text', 'Too Many Requests',
                'headers', pg_catalog.jsonb_build_object('Retry-After', v_found ->> 'wait_s'));
    end if;
end
$$;
comment on function engine.refuse_spent(text, text, uuid) is
'Raises 429 where a hard limit of a budget is reached by what was spent; what is reserved does not
count: it may yet come to less.';

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
    perform engine.refuse_spent(v_who, p_session.org_id, p_session.assistant_id);
end
$$;

revoke all on function engine.refuse_spent(text, text, uuid)
from public, anon, authenticated, service_role;
