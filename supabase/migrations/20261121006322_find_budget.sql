-- Purpose:   which limit of a budget is reached.
-- Guarantee: a user, an organisation and an assistant each have a row of their own or everyone's; a hard
--            limit comes before a soft one.
-- Caller:    engine.reserve_budget, for a call; engine.refuse_spent, for a browser's message.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.find_budget(
    p_user text, p_org text, p_assistant uuid, p_own uuid, p_with_reserved boolean
) returns jsonb
language sql
volatile -- sees what was committed since the statement began
security invoker
set search_path = ''
begin atomic
    with today (day, month) as (
        select
            (clock_timestamp() at time zone 'UTC')::date,
            date_trunc('month', clock_timestamp() at time zone 'UTC')::date
    ),

    rule as (
        select distinct on (w.scope, b.period)
            w.scope,
            w.subject,
            b.period,
            b.soft_tokens,
            b.hard_tokens,
            b.soft_usd,
            b.hard_usd,
            b.cheaper_model
        from
            (values ('user', p_user), ('organisation', p_org), ('assistant', p_assistant::text))
                as w (scope, subject)
        inner join engine.budgets as b
            on w.scope = b.scope and (w.subject = b.subject or b.subject is null)
        where w.subject is not null
        order by w.scope, b.period, b.subject nulls last
    ),

    -- Each of the three by its index, once for all its periods.
    reserved as (
        select
            'user' as scope,
            u.id,
            u.run_id,
            u.tokens,
            u.usd,
            u.expires_at,
            u.in_batch
        from engine.budget_reservations as u
        where u.user_id = p_user and exists (select from rule as r where r.scope = 'user')
        union all
        select
            'organisation' as scope,
            g.id,
            g.run_id,
            g.tokens,
            g.usd,
            g.expires_at,
            g.in_batch
        from engine.budget_reservations as g
        where g.org_id = p_org and exists (select from rule as r where r.scope = 'organisation')
        union all
        select
            'assistant' as scope,
            a.id,
            a.run_id,
            a.tokens,
            a.usd,
            a.expires_at,
            a.in_batch
        from engine.budget_reservations as a
        where a.assistant_id = p_assistant and exists (select from rule as r where r.scope = 'assistant')
    ),

    held as materialized (
        select
            o.scope,
            sum(o.tokens) as tokens,
            sum(o.usd) as usd
        from reserved as o
        where
            p_with_reserved
            and o.expires_at > clock_timestamp()
            and o.id is distinct from p_own
            -- A run that waits for its turn, or has ended, asks nobody just now, but for a batch.
            and (
                o.in_batch
                or not exists (
                    select from engine.runs as idle
                    where idle.id = o.run_id and idle.status not in ('running', 'cancelling')
                )
            )
        group by o.scope
    ),

    used as (
        select
            r.*,
            coalesce(held.tokens, 0) + case r.period
                when 'day' then case when s.day = t.day then s.day_tokens else 0 end
                else case when s.month = t.month then s.month_tokens else 0 end
            end as tokens,
            coalesce(held.usd, 0) + coalesce(case r.period
                when 'day' then case when s.day = t.day then s.day_usd end
                else case when s.month = t.month then s.month_usd end
            end, 0) as usd,
            extract(epoch from case r.period
                when 'day' then t.day + interval '1 day' else t.month + interval '1 month'
            end - (clock_timestamp() at time zone 'UTC')) as wait_s
        from rule as r
        cross join today as t
        left join engine.spending as s on r.scope = s.scope and r.subject = s.subject
        left join held on r.scope = held.scope
    ),

    reached (is_hard, scope, period, kind, most, wait_s, cheaper_model) as (
        select
            l.is_hard,
            u.scope,
            u.period,
            l.kind,
            l.most,
            u.wait_s,
            case when not l.is_hard then u.cheaper_model end
        from used as u
        cross join
            lateral (
                values
                (true, 'tokens', u.tokens, u.hard_tokens), (true, 'usd', u.usd, u.hard_usd),
                (false, 'tokens', u.tokens, u.soft_tokens), (false, 'usd', u.usd, u.soft_usd)
            ) as l (is_hard, kind, used, most)
        where l.used >= l.most
    )

    select
        jsonb_build_object(
            'state', case when r.is_hard then 'hard' else 'soft' end,
            'limit', format('%s_%s_per_%s', r.scope, r.kind, r.period),
            'said', format(
                'The budget of %s %s a %s per %s is used up.', trim_scale(r.most),
                case r.kind when 'usd' then 'US dollars' else 'tokens' end, r.period, r.scope
            ),
            'wait_s', greatest(1, ceil(r.wait_s))::integer,
            'model', r.cheaper_model
        )
    from reached as r
    order by r.is_hard desc, r.wait_s desc, r.scope asc, r.kind asc
    limit 1;
end;
comment on function engine.find_budget(text, text, uuid, uuid, boolean) is
'{"state", "limit", "said", "wait_s", "model"} of the limit that is reached, a hard one before a soft
one; null where none is. With what is reserved by others than its own reservation, or without.';

revoke all on function engine.find_budget(text, text, uuid, uuid, boolean)
from public, anon, authenticated, service_role;
