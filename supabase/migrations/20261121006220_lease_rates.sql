-- Purpose:   requests and tokens a minute of one key with a provider, shared by all workers.
-- Guarantee: what a worker was handed nobody else gets; what it does not say back, because it was
--            killed, comes again with time. A key is known by a salted hash alone.
-- Caller:    workers with MODEL_LIMITS, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

-- One row.
-- squawk-ignore adding-field-with-default
alter table engine.settings add column key_salt uuid not null default gen_random_uuid();
comment on column engine.settings.key_salt is
'What providers'' keys are hashed with, the same for all workers, before their limits are asked for.';

create table engine.rate_limits (
    models text not null,
    key_hash text not null check (key_hash ~ '^[0-9a-f]{32}$'),
    requests double precision not null,
    tokens double precision not null,
    counted_at timestamptz not null default clock_timestamp(),
    promised_until timestamptz not null default clock_timestamp(),
    primary key (models, key_hash)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
comment on table engine.rate_limits is
'What one key may still ask of some models: it grows with time, up to six seconds'' worth. Below zero:
so much was handed out ahead, or the provider wants to be left alone.';
comment on column engine.rate_limits.promised_until is
'Until here runs that could not wait in memory were told to come back, one after the other.';
alter table engine.rate_limits enable row level security;
revoke all on engine.rate_limits from public, anon, authenticated, service_role;

create function engine.count_rate(
    p_models text, p_key_hash text, p_rates double precision[], p_back double precision[],
    p_closed_s double precision
) returns engine.rate_limits
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_most double precision[] := array[
        greatest(coalesce(6 * p_rates[1], 'infinity'), 1), coalesce(6 * p_rates[2], 'infinity')];
    v_limit engine.rate_limits;
begin
    if p_closed_s is not null then
        v_most := array[
            coalesce(-p_closed_s * p_rates[1], v_most[1]),
            coalesce(-p_closed_s * p_rates[2], v_most[2])];
    end if;
    insert into engine.rate_limits as l (models, key_hash, requests, tokens)
    values (p_models, p_key_hash, v_most[1], v_most[2])
    on conflict (models, key_hash) do update set
        requests = least(v_most[1], l.requests + p_back[1] + coalesce(p_rates[1]
            * extract(epoch from pg_catalog.clock_timestamp() - l.counted_at), 0)),
        tokens = least(v_most[2], l.tokens + p_back[2] + coalesce(p_rates[2]
            * extract(epoch from pg_catalog.clock_timestamp() - l.counted_at), 0)),
        counted_at = pg_catalog.clock_timestamp()
    returning l.* into v_limit;
    return v_limit;
end
$$;
comment on function engine.count_rate(
    text, text, double precision[], double precision[], double precision
) is
'The row as of now, locked: requests and tokens have grown by p_rates a second, and by what comes back;
after p_closed_s there is something again.';

create function engine.lease_rate(
    p_models text, p_key_hash text, p_rates double precision[], p_least double precision[],
    p_most double precision[], p_patience_s double precision, p_is_back boolean,
    p_back double precision[], p_closed_s double precision
) returns jsonb
language plpgsql
volatile
security definer -- a worker has no rights on tables
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
    v_limit engine.rate_limits;
    v_now timestamptz;
    v_wait_s double precision;
    v_patience_s double precision;
    v_turn timestamptz;
    v_given double precision[] := p_least;
begin
    if p_key_hash is null then
        return pg_catalog.jsonb_build_object('salt', (select s.key_salt from engine.settings s));
    end if;
    v_limit := engine.count_rate(p_models, p_key_hash, p_rates, p_back, p_closed_s);
    v_now := v_limit.counted_at;
    if p_least is null then
        return '{"wait_s": 0, "is_granted": false}'::jsonb;
    end if;
    -- A provider takes no request that is larger than a minute of its tokens: that is its own matter.
    v_wait_s := greatest(0, (p_least[1] - v_limit.requests) / p_rates[1],
        (least(p_least[2], 60 * p_rates[2]) - v_limit.tokens) / p_rates[2]);
    v_patience_s := case
        when p_is_back or v_limit.promised_until <= v_now then p_patience_s else 0 end;
    if v_wait_s > v_patience_s then
        v_turn := greatest(
            v_limit.promised_until, v_now + pg_catalog.make_interval(secs => v_wait_s));
        update engine.rate_limits l
        set promised_until = v_turn + pg_catalog.make_interval(
            secs => greatest(p_least[1] / p_rates[1], p_least[2] / p_rates[2]))
        where l.models = p_models and l.key_hash = p_key_hash;
        return pg_catalog.jsonb_build_object('is_granted', false,
            'wait_s', extract(epoch from v_turn - v_now));
    elsif v_wait_s = 0 then
        v_given := array[
            greatest(p_least[1], least(p_most[1], pg_catalog.floor(v_limit.requests))),
            greatest(p_least[2], least(p_most[2], pg_catalog.floor(v_limit.tokens)))];
    end if;
    update engine.rate_limits l
    set requests = l.requests - v_given[1], tokens = l.tokens - v_given[2]
    where l.models = p_models and l.key_hash = p_key_hash;
    return pg_catalog.jsonb_build_object('is_granted', true, 'wait_s', v_wait_s,
        'requests', v_given[1], 'tokens', v_given[2]);
end
$$;
comment on function engine.lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
) is
'Pairs are requests and tokens. {"is_granted": true, "wait_s", "requests", "tokens"}: so much, at least
p_least and at most p_most, is the worker''s in so many seconds, at most p_patience_s. {"is_granted":
false, "wait_s"}: nothing is, and then is its turn; who has come back for it (p_is_back) goes before
who has not. p_rates are a second''s, null where there is no limit; p_back was handed out and not
used, or used beyond it where negative; p_closed_s is what a provider''s 429 asked for. Without
p_key_hash: {"salt"}.';

create function public.service_lease_rate(
    p_models text, p_key_hash text, p_rates double precision[], p_least double precision[],
    p_most double precision[], p_patience_s double precision, p_is_back boolean,
    p_back double precision[], p_closed_s double precision
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select
        engine.lease_rate(
            p_models, p_key_hash, p_rates, p_least, p_most, p_patience_s, p_is_back, p_back,
            p_closed_s
        );
end;
comment on function public.service_lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
) is
'engine.lease_rate over the Data API.';

revoke all on function
engine.count_rate(text, text, double precision[], double precision[], double precision),
engine.lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
),
public.service_lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
)
from public, anon, authenticated, service_role;
grant execute on function engine.lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
) to assistants_engine, service_role;
grant execute on function public.service_lease_rate(
    text, text, double precision[], double precision[], double precision[], double precision, boolean,
    double precision[], double precision
) to service_role;
