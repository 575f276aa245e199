-- Purpose:   what users, assistants and models used, day by day.
-- Guarantee: it is what the calls add up to, at every moment: both are written by one statement.
-- Caller:    every insert into engine.model_calls; a browser reads public.usage_by_day.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.usage_days (
    tenant_id text generated always as (coalesce(org_id, user_id)) stored,
    user_id text,
    org_id text,
    day date not null,
    model text not null,
    assistant_id uuid,
    calls bigint not null,
    estimated_calls bigint not null,
    unpriced_calls bigint not null,
    input_tokens bigint not null,
    cached_tokens bigint not null,
    cache_write_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    cost_usd numeric,
    unique nulls not distinct (tenant_id, day, user_id, model, assistant_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.usage_days is
'Calls added up by user, tenant, day (UTC), model and assistant; stays when the calls are gone.';
comment on column engine.usage_days.cost_usd is
'Of the calls whose price is known; null where none is. unpriced_calls are those that it lacks.';
alter table engine.usage_days enable row level security;
revoke all on engine.usage_days from public, anon, authenticated, service_role;

create function engine.count_usage() returns trigger
language plpgsql
security definer -- reads and writes what no role may
set search_path = ''
as $$
begin
    -- In the order of the key: of two statements none waits for the other in a circle.
    insert into engine.usage_days as d
        (user_id, org_id, day, model, assistant_id, calls, estimated_calls, unpriced_calls,
        input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd)
    select i.user_id, i.org_id, (i.at at time zone 'UTC')::date as day,
        i.provider || ':' || i.model as model, i.assistant_id, pg_catalog.count(*),
        pg_catalog.count(*) filter (where i.is_estimated),
        pg_catalog.count(*) filter (where i.cost_usd is null and i.input_tokens + i.output_tokens > 0),
        pg_catalog.sum(i.input_tokens), pg_catalog.sum(i.cached_tokens),
        pg_catalog.sum(i.cache_write_tokens), pg_catalog.sum(i.output_tokens),
        pg_catalog.sum(i.reasoning_tokens), pg_catalog.sum(i.cost_usd)
    from inserted i
    group by i.user_id, i.org_id, 3, 4, i.assistant_id
    order by i.org_id, i.user_id, 3, 4, i.assistant_id
    on conflict (tenant_id, day, user_id, model, assistant_id) do update set
        calls = d.calls + excluded.calls,
        estimated_calls = d.estimated_calls + excluded.estimated_calls,
        unpriced_calls = d.unpriced_calls + excluded.unpriced_calls,
        input_tokens = d.input_tokens + excluded.input_tokens,
        cached_tokens = d.cached_tokens + excluded.cached_tokens,
        cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        reasoning_tokens = d.reasoning_tokens + excluded.reasoning_tokens,
        cost_usd = case when coalesce(d.cost_usd, excluded.cost_usd) is not null
            then coalesce(d.cost_usd, 0) + coalesce(excluded.cost_usd, 0) end;
    return null;
end
$$;
comment on function engine.count_usage() is 'Trigger: adds new calls to their days.';
create trigger count_usage after insert on engine.model_calls
referencing new table as inserted
for each statement execute function engine.count_usage();
revoke all on function engine.count_usage() from public, anon, authenticated, service_role;

create view public.usage_by_day with (security_invoker = true) as
select
    user_id,
    org_id,
    day,
    model,
    assistant_id,
    calls,
    estimated_calls,
    unpriced_calls,
    input_tokens,
    cached_tokens,
    cache_write_tokens,
    output_tokens,
    reasoning_tokens,
    cost_usd
from engine.usage_days;
comment on view public.usage_by_day is
'What one has used by day, model and assistant, and what it cost; the row-level security of the table
beneath decides who sees whose.';
revoke all on public.usage_by_day from public, anon, authenticated, service_role;
