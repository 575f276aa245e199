-- Purpose:   whether a budget still allows a call, and a hold on it while the call is under way.
-- Guarantee: of calls that come at the same time each sees what the others have reserved, so that a
--            hard limit is overshot by one call at most, and by what estimates fall short.
-- Caller:    workers and services, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.reserve_budget(p_call jsonb) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_call record;
    v_found jsonb;
    v_today date := (pg_catalog.clock_timestamp() at time zone 'UTC')::date;
begin
    if not exists (select from engine.budgets) then
        return pg_catalog.jsonb_build_object('state', 'none');
    end if;
    select * into strict v_call from pg_catalog.jsonb_to_record(p_call) as c (
        id uuid, run_id uuid, user_id text, org_id text, assistant_id uuid, model text,
        input_tokens bigint, output_tokens bigint, cost_usd numeric, held_s double precision);
    -- One after the other, in the order in which calls are counted.
    insert into engine.spending as s (scope, subject, day, month)
    select w.scope, w.subject, v_today, pg_catalog.date_trunc('month', v_today)::date
    from (values ('user', v_call.user_id), ('organisation', v_call.org_id),
        ('assistant', v_call.assistant_id::text)) as w (scope, subject)
    where w.subject is not null and exists (
        select from engine.budgets b
        where b.scope = w.scope and (b.subject = w.subject or b.subject is null))
    order by w.scope, w.subject
    on conflict (scope, subject) do update set day = s.day;
    v_found := engine.find_budget(
        v_call.user_id, v_call.org_id, v_call.assistant_id,
        coalesce(v_call.run_id, v_call.id), true);
    if v_found ->> 'state' = 'hard' then
        return v_found;
    end if;
    insert into engine.budget_reservations as r
        (id, user_id, org_id, assistant_id, run_id, tokens, usd, expires_at)
    values (coalesce(v_call.run_id, v_call.id), v_call.user_id, v_call.org_id, v_call.assistant_id,
        v_call.run_id, v_call.input_tokens + v_call.output_tokens,
        coalesce(engine.own_price(v_call.model, pg_catalog.clock_timestamp(), v_call.input_tokens,
            0, 0, v_call.output_tokens), v_call.cost_usd),
        pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => v_call.held_s))
    on conflict (id) do update set
        tokens = excluded.tokens, usd = excluded.usd, expires_at = excluded.expires_at,
        in_batch = false;
    return coalesce(v_found, pg_catalog.jsonb_build_object('state', 'free'));
end
$$;
comment on function engine.reserve_budget(jsonb) is
'Reserves what a call {"id", "run_id", "user_id", …} may cost, unless a hard limit is reached. {"state"}:
none (there are no budgets at all), free, soft (and the cheaper model), hard (and what is reached).';

create function public.service_reserve_budget(p_call jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.reserve_budget(p_call);
end;
comment on function public.service_reserve_budget(jsonb) is
'engine.reserve_budget over the Data API.';

revoke all on function
engine.reserve_budget(jsonb), public.service_reserve_budget(jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.reserve_budget(jsonb) to assistants_engine, service_role;
grant execute on function public.service_reserve_budget(jsonb) to service_role;
