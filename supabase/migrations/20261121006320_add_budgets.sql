-- Purpose:   budgets of tokens and money, and what has been spent of them.
-- Guarantee: a check reads one row for each of user, organisation and assistant, however much was
--            spent. What is spent is counted whether or not there is a budget yet.
-- Caller:    the operator writes budgets; every insert into engine.model_calls counts.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.budgets (
    scope text not null check (scope in ('user', 'organisation', 'assistant')),
    subject text check (subject <> ''),
    period text not null check (period in ('day', 'month')),
    soft_tokens bigint check (soft_tokens >= 0),
    hard_tokens bigint check (hard_tokens >= 0),
    soft_usd numeric check (soft_usd >= 0),
    hard_usd numeric check (hard_usd >= 0),
    cheaper_model text
    constraint budgets_cheaper_model_is_provider_and_name
    check (cheaper_model ~ '^[a-z0-9_-]+:[^[:space:]]{1,200}$'),
    unique nulls not distinct (scope, subject, period),
    constraint budgets_soft_limit_has_a_cheaper_model
    check (cheaper_model is not null or (soft_tokens is null and soft_usd is null)),
    constraint budgets_soft_tokens_are_not_above_hard check (soft_tokens <= hard_tokens),
    constraint budgets_soft_usd_is_not_above_hard check (soft_usd <= hard_usd),
    -- Without any, a row of somebody's own frees them of everyone's.
    constraint budgets_of_everyone_have_a_limit
    check (subject is not null or num_nonnulls(soft_tokens, hard_tokens, soft_usd, hard_usd) > 0),
    -- As a uuid is written out, in lower case.
    constraint budgets_assistant_is_a_uuid
    check (
        scope <> 'assistant'
        or subject ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    )
);
comment on table engine.budgets is
'What may be spent in a day or a month (UTC). Above a soft limit the cheaper model answers, above a
hard one nobody does.';
comment on column engine.budgets.subject is
'Whose: the id of the user, organisation or assistant. Null: of everyone who has no row of their own
for this period, each for themselves. A row of somebody''s own without any limit frees them of it.';
alter table engine.budgets enable row level security;
revoke all on engine.budgets from public, anon, authenticated, service_role;

-- No index but the key, and room in each page: counting touches no index.
create table engine.spending (
    scope text not null,
    subject text not null,
    day date not null,
    day_tokens numeric not null default 0,
    day_usd numeric,
    day_unpriced_calls bigint not null default 0,
    month date not null,
    month_tokens numeric not null default 0,
    month_usd numeric,
    month_unpriced_calls bigint not null default 0,
    primary key (scope, subject)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.spending is
'Input and output tokens, and dollars, of the day and the month in which somebody last spent some.';
comment on column engine.spending.day_usd is
'Of the calls whose price is known; null where none is. day_unpriced_calls are those that it lacks.
The same for the month.';
alter table engine.spending enable row level security;
revoke all on engine.spending from public, anon, authenticated, service_role;

create table engine.budget_reservations (
    id uuid primary key,
    user_id text,
    org_id text,
    assistant_id uuid,
    run_id uuid,
    tokens bigint not null check (tokens >= 0),
    usd numeric check (usd >= 0),
    expires_at timestamptz not null,
    in_batch boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.budget_reservations is
'What calls that are under way may cost at most, by estimate: one row for each run. Gone when the call
is recorded; void when its run has ended, or after a while.';
comment on column engine.budget_reservations.in_batch is
'Its question waits for a batch: it costs as much whatever becomes of the run.';
create index budget_reservations_run_id_idx on engine.budget_reservations (run_id);
create index budget_reservations_user_id_idx on engine.budget_reservations (user_id);
create index budget_reservations_org_id_idx on engine.budget_reservations (org_id)
where org_id is not null;
create index budget_reservations_assistant_id_idx on engine.budget_reservations (assistant_id);
create index budget_reservations_expires_at_idx on engine.budget_reservations (expires_at);
alter table engine.budget_reservations enable row level security;
revoke all on engine.budget_reservations from public, anon, authenticated, service_role;

create function engine.count_spending() returns trigger
language plpgsql
security definer -- reads and writes what no role may
set search_path = ''
as $$
declare
    v_today date := (pg_catalog.clock_timestamp() at time zone 'UTC')::date;
begin
    -- In the order of the key, which engine.reserve_budget keeps, too.
    insert into engine.spending as s
        (scope, subject, day, day_tokens, day_usd, day_unpriced_calls,
        month, month_tokens, month_usd, month_unpriced_calls)
    select n.scope, n.subject, v_today, n.tokens, n.usd, n.unpriced_calls,
        pg_catalog.date_trunc('month', v_today)::date, n.tokens, n.usd, n.unpriced_calls
    from (
        select w.scope, w.subject, pg_catalog.sum(i.input_tokens + i.output_tokens) as tokens,
            pg_catalog.sum(i.cost_usd) as usd,
            pg_catalog.count(*) filter (
                where i.cost_usd is null and i.input_tokens + i.output_tokens > 0) as unpriced_calls
        from inserted i
        cross join lateral (values ('user', i.user_id), ('organisation', i.org_id),
            ('assistant', i.assistant_id::text)) as w (scope, subject)
        where w.subject is not null
        group by w.scope, w.subject
    ) as n
    order by n.scope, n.subject
    on conflict (scope, subject) do update set
        day = greatest(s.day, excluded.day),
        day_tokens = excluded.day_tokens + case when s.day >= excluded.day then s.day_tokens else 0 end,
        day_usd = case when s.day >= excluded.day and s.day_usd is not null
            then s.day_usd + coalesce(excluded.day_usd, 0) else excluded.day_usd end,
        day_unpriced_calls = excluded.day_unpriced_calls
            + case when s.day >= excluded.day then s.day_unpriced_calls else 0 end,
        month = greatest(s.month, excluded.month),
        month_tokens = excluded.month_tokens
            + case when s.month >= excluded.month then s.month_tokens else 0 end,
        month_usd = case when s.month >= excluded.month and s.month_usd is not null
            then s.month_usd + coalesce(excluded.month_usd, 0) else excluded.month_usd end,
        month_unpriced_calls = excluded.month_unpriced_calls
            + case when s.month >= excluded.month then s.month_unpriced_calls else 0 end;
    -- A call that failed may be followed by one of another model: that is for the run to say.
    delete from engine.budget_reservations b using inserted i
    where b.run_id = i.run_id and i.outcome = 'completed';
    return null;
end
$$;
comment on function engine.count_spending() is
'Trigger: new calls have spent what they cost, and need no reservation any more.';
create trigger count_spending after insert on engine.model_calls
referencing new table as inserted
for each statement execute function engine.count_spending();
revoke all on function engine.count_spending() from public, anon, authenticated, service_role;
