-- Purpose:   the ledger: one row for each call that was made to a provider of models.
-- Guarantee: a call is recorded once, however often it is told: its id is given by whoever made it.
--            What follows from a call (its price, counts by day, budgets) follows from the insert.
-- Caller:    workers and services, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

alter table engine.settings
add column model_calls_kept_days integer default 90
check (model_calls_kept_days between 1 and 36500);
comment on column engine.settings.model_calls_kept_days is
'How long single calls stay in engine.model_calls; null: forever. What they add up to stays longer.';

create table engine.model_calls (
    id uuid primary key,
    at timestamptz not null,
    run_id uuid,
    user_id text,
    org_id text,
    assistant_id uuid,
    provider text not null check (provider ~ '^[a-z0-9_-]{1,40}$'),
    model text not null check (model <> '' and length(model) <= 200),
    asked_model text check (asked_model <> '' and length(asked_model) <= 200),
    input_tokens bigint not null default 0 check (input_tokens >= 0),
    cached_tokens bigint not null default 0 check (cached_tokens >= 0),
    cache_write_tokens bigint not null default 0 check (cache_write_tokens >= 0),
    output_tokens bigint not null default 0 check (output_tokens >= 0),
    reasoning_tokens bigint not null default 0 check (reasoning_tokens >= 0),
    is_estimated boolean not null default false,
    outcome text not null check (outcome ~ '^[a-z0-9_]{1,64}$'),
    cost_usd numeric check (cost_usd >= 0),
    price_factor numeric not null default 1 check (price_factor between 0 and 1),
    duration_ms integer not null check (duration_ms >= 0),
    first_token_ms integer check (first_token_ms >= 0)
) with (autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.model_calls is
'The ledger: what each call to a provider cost. No foreign keys: a bill outlives what it was for.';
comment on column engine.model_calls.user_id is
'Who asked; null: the operator. org_id: whose session it was.';
comment on column engine.model_calls.model is
'The provider''s own name of the model that answered, else of the one that was asked.';
comment on column engine.model_calls.asked_model is
'The provider''s own name of the model that was asked, where another answered: mostly the same model
without its version. Null: the same name.';
comment on column engine.model_calls.input_tokens is
'All of the input: what came from the provider''s cache and what went into it are parts of it, as
thoughts are of the output.';
comment on column engine.model_calls.is_estimated is
'The provider did not tell: the input is an upper bound, the output what was heard.';
comment on column engine.model_calls.outcome is
'completed, cancelled, cached (this service''s own cache answered), or the code of the error.';
comment on column engine.model_calls.cost_usd is 'Null: nobody knows the price. Never 0 for that.';
comment on column engine.model_calls.price_factor is
'What part of the operator''s own price it costs: less than 1 of a call that was made in a batch.';
create index model_calls_at_idx on engine.model_calls (at);
create index model_calls_run_id_idx on engine.model_calls (run_id) where run_id is not null;
alter table engine.model_calls enable row level security;
revoke all on engine.model_calls from public, anon, authenticated, service_role;

create function engine.record_calls(p_calls jsonb) returns jsonb
language sql
volatile
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
    with recorded as (
        insert into engine.model_calls (
            id, at, run_id, user_id, org_id, assistant_id, provider, model, asked_model,
            input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
            is_estimated, outcome, cost_usd, price_factor, duration_ms, first_token_ms
        )
        select
            c.id,
            clock_timestamp() - make_interval(secs => coalesce(c.age_s, 0)) as at,
            c.run_id,
            c.user_id,
            c.org_id,
            c.assistant_id,
            c.provider,
            c.model,
            c.asked_model,
            c.input_tokens,
            c.cached_tokens,
            c.cache_write_tokens,
            c.output_tokens,
            c.reasoning_tokens,
            c.is_estimated,
            c.outcome,
            c.cost_usd,
            coalesce(c.price_factor, 1) as price_factor,
            c.duration_ms,
            c.first_token_ms
        from
            jsonb_to_recordset(p_calls)
                as c (
                    id uuid, age_s double precision, run_id uuid, user_id text, org_id text,
                    assistant_id uuid, provider text, model text, asked_model text,
                    input_tokens bigint, cached_tokens bigint, cache_write_tokens bigint,
                    output_tokens bigint, reasoning_tokens bigint, is_estimated boolean,
                    outcome text, cost_usd numeric, price_factor numeric, duration_ms integer,
                    first_token_ms integer
                )
        order by c.id
        on conflict (id) do nothing
        returning id
    )

    select jsonb_build_object('recorded', count(*)) from recorded;
end;
comment on function engine.record_calls(jsonb) is
'Records calls [{"id", "age_s", "run_id", "user_id", …}], each once; age_s is how long ago it ended.
{"recorded"}: how many were not there yet.';

create function public.service_record_calls(p_calls jsonb) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.record_calls(p_calls);
end;
comment on function public.service_record_calls(jsonb) is
'engine.record_calls over the Data API.';

revoke all on function engine.record_calls(jsonb), public.service_record_calls(jsonb)
from public, anon, authenticated, service_role;
grant execute on function engine.record_calls(jsonb) to assistants_engine, service_role;
grant execute on function public.service_record_calls(jsonb) to service_role;
