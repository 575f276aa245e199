-- Purpose:   what the operator pays, where that is not what the price lists of the providers say.
-- Guarantee: a call is priced by what held when it ended; a price of today changes no call of before.
-- Caller:    every insert into engine.model_calls; engine.reserve_budget. The operator writes prices.

set lock_timeout = '5s';
set statement_timeout = '60s';

create table engine.model_prices (
    model text not null
    constraint model_prices_model_is_provider_and_name check (model ~ '^[a-z0-9_-]+:[^[:space:]]{1,200}$'),
    valid_from timestamptz not null default now(),
    input_usd numeric not null check (input_usd >= 0),
    output_usd numeric not null check (output_usd >= 0),
    cached_usd numeric check (cached_usd >= 0),
    cache_write_usd numeric check (cache_write_usd >= 0),
    primary key (model, valid_from)
);
comment on table engine.model_prices is
'The operator''s own prices in US dollars per million tokens; a row holds from valid_from until the
next one of the same model. `provider:*` is for all models of a provider that have no row.';
comment on column engine.model_prices.cached_usd is
'Of input from the provider''s cache; null: as other input. The same for cache_write_usd.';
alter table engine.model_prices enable row level security;
revoke all on engine.model_prices from public, anon, authenticated, service_role;

create function engine.own_price(
    p_model text, p_at timestamptz, p_input bigint, p_cached bigint, p_cache_write bigint,
    p_output bigint
) returns numeric
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        round((
            greatest(p_input - p_cached - p_cache_write, 0) * m.input_usd
            + p_cached * coalesce(m.cached_usd, m.input_usd)
            + p_cache_write * coalesce(m.cache_write_usd, m.input_usd)
            + p_output * m.output_usd
        ) / 1000000, 12)
    from engine.model_prices as m
    where
        m.model in (p_model, split_part(p_model, ':', 1) || ':*')
        and m.valid_from <= p_at
    order by m.model = p_model desc, m.valid_from desc
    limit 1;
end;
comment on function engine.own_price(text, timestamptz, bigint, bigint, bigint, bigint) is
'What so many tokens cost by the operator''s own prices; null where there is none.';

create function engine.price_call() returns trigger
language plpgsql
security definer -- reads and writes what no role may
set search_path = ''
as $$
declare
    v_model text := new.model;
begin
    -- Whoever asks for a name has the price of the name, unless the version has one of its own.
    if new.asked_model is not null and not exists (
        select from engine.model_prices m
        where m.model = new.provider || ':' || new.model and m.valid_from <= new.at
    ) then
        v_model := new.asked_model;
    end if;
    new.cost_usd := coalesce(
        engine.own_price(new.provider || ':' || v_model, new.at, new.input_tokens,
            new.cached_tokens, new.cache_write_tokens, new.output_tokens) * new.price_factor,
        new.cost_usd);
    return new;
end
$$;
comment on function engine.price_call() is
'Trigger: the operator''s own price stands in for what the caller has found.';
create trigger price_call before insert on engine.model_calls
for each row execute function engine.price_call();

revoke all on function
engine.own_price(text, timestamptz, bigint, bigint, bigint, bigint), engine.price_call()
from public, anon, authenticated, service_role;
