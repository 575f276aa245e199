-- Purpose:   the refusal of what is over a limit, and which limit that is.
-- Guarantee: it comes as 429 with `Retry-After` through the Data API. It names the operator's limit
--            and the time until the same is admitted, and nothing of what others have done.
-- Caller:    the triggers and functions of the next migration. No role may execute these.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.refuse_too_many(p_limit text, p_said text, p_wait_s double precision)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_wait integer := greatest(1, pg_catalog.ceil(p_wait_s));
begin
    -- The details repeat the header: supabase-js and supabase-py hand on no header of an error.
    raise sqlstate 'PGRST' using
        message = pg_catalog.jsonb_build_object(
            'code', 'PT429',
            'message', pg_catalog.format('Too many %s. Try again in %s s.', p_said, v_wait),
            'details', pg_catalog.jsonb_build_object(
                'limit', p_limit, 'retry_after_s', v_wait)::text,
            'hint', case when p_limit like '%open_runs'
                then 'A place is free as soon as a run has ended or is being cancelled.'
                else 'Nothing was stored: wait, then send the same again.' end),
        detail = pg_catalog.jsonb_build_object(
            'status', 429, 'status_text', 'Too Many Requests',
            'headers', pg_catalog.jsonb_build_object('Retry-After', v_wait::text));
end
$$;
comment on function engine.refuse_too_many(text, text, double precision) is
'Raises PGRST, the state by which a function takes over PostgREST''s whole answer.';

create function engine.refuse_places(
    p_set engine.settings, p_user engine.admissions, p_org engine.admissions, p_coming integer,
    p_user_runs integer, p_org_runs integer, p_count integer
) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_now timestamptz := pg_catalog.clock_timestamp();
    v_worst record;
begin
    with rate (name, what, most, per, period_s, coming, clear_at) as (
        values
        ('user_messages_per_minute', 'messages', p_set.user_messages_per_minute, 'a minute per user',
            60, 0, p_user.minute_clear_at),
        ('user_messages_per_day', 'messages', p_set.user_messages_per_day, 'a day per user',
            86400, 0, p_user.day_clear_at),
        ('user_sessions_per_day', 'sessions', p_set.user_sessions_per_day, 'a day per user',
            86400, 0, p_user.sessions_clear_at),
        ('user_assistants_per_day', 'assistants', p_set.user_assistants_per_day, 'a day per user',
            86400, 0, p_user.assistants_clear_at),
        ('org_messages_per_minute', 'messages', p_set.org_messages_per_minute,
            'a minute per organisation', 60, p_coming, p_org.minute_clear_at),
        ('org_messages_per_day', 'messages', p_set.org_messages_per_day,
            'a day per organisation', 86400, p_coming, p_org.day_clear_at)
    ),

    -- Nobody knows when a run ends: five seconds are a guess.
    over (name, what, most, per, wait_s) as (
        select r.name, r.what, r.most, r.per, extract(
            epoch from greatest(r.clear_at, v_now) - v_now)::double precision
            + r.coming * r.period_s::double precision / r.most - r.period_s
        from rate r
        union all
        select 'user_open_runs', 'open runs', p_set.user_open_runs, 'at a time per user', 5
        where p_user_runs > p_set.user_open_runs
        union all
        select 'org_open_runs', 'open runs', p_set.org_open_runs, 'at a time per organisation', 5
        where p_org_runs > p_set.org_open_runs
    )

    select o.* into v_worst from over o where o.wait_s > 0
    order by p_count > o.most desc, o.wait_s desc limit 1;
    if not found then
        return; -- over by what a floating point number rounds off
    elsif p_count > v_worst.most then
        raise exception 'too many % in one statement: the limit is % %',
            v_worst.what, v_worst.most, v_worst.per
            using errcode = '23514', hint = 'Send fewer at once.';
    end if;
    perform engine.refuse_too_many(v_worst.name, pg_catalog.format(
        '%s: the limit is %s %s', v_worst.what, v_worst.most, v_worst.per), v_worst.wait_s);
end
$$;
comment on function engine.refuse_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
) is
'Raises 429 for the limit that takes longest; 23514 for more at once than a limit ever admits.';

create function engine.check_places(
    p_set engine.settings, p_user engine.admissions, p_org engine.admissions, p_coming integer,
    p_user_runs integer, p_org_runs integer, p_count integer
) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_now timestamptz := pg_catalog.clock_timestamp();
    v_minute interval := interval '1 minute';
    v_day interval := interval '24 hours';
begin
    if p_user.minute_clear_at > v_now + v_minute
        or p_user.day_clear_at > v_now + v_day
        or p_user.sessions_clear_at > v_now + v_day
        or p_user.assistants_clear_at > v_now + v_day
        or greatest(p_org.minute_clear_at, v_now)
            + v_minute * p_coming / p_set.org_messages_per_minute > v_now + v_minute
        or greatest(p_org.day_clear_at, v_now)
            + v_day * p_coming / p_set.org_messages_per_day > v_now + v_day
        or p_user_runs > p_set.user_open_runs
        or p_org_runs > p_set.org_open_runs
    then
        perform engine.refuse_places(
            p_set, p_user, p_org, p_coming, p_user_runs, p_org_runs, p_count);
    end if;
end
$$;
comment on function engine.check_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
) is
'Returns quietly unless a bucket is over its brim, the organisation''s with so many more, or too many
runs would be open. Whatever is null is no limit, or not asked for.';

revoke all on function
engine.refuse_too_many(text, text, double precision),
engine.refuse_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
),
engine.check_places(
    engine.settings, engine.admissions, engine.admissions, integer, integer, integer, integer
)
from public, anon, authenticated, service_role;
