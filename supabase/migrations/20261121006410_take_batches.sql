-- Purpose:   questions that wait become batches, and one worker at a time looks after each.
-- Guarantee: a question is in one batch. A batch that somebody may have sent already says so.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.gather_batch(p_provider text, p_grouping text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_batch uuid := pg_catalog.gen_random_uuid();
    v_askers jsonb;
    v_items uuid[];
begin
    -- Nobody waits for these any more.
    delete from engine.batch_items i using (
        select o.id from engine.batch_items o inner join engine.runs r on r.id = o.run_id
        where o.state = 'queued' and o.provider = p_provider and o.grouping = p_grouping
        and r.ended_at is not null
        for update of o skip locked) as old
    where i.id = old.id;
    -- Their runs have asked directly.
    update engine.batch_items i
    set state = 'expired', body = '', ended_at = pg_catalog.clock_timestamp()
    from (
        select o.id from engine.batch_items o, engine.settings s
        where o.state = 'queued' and o.provider = p_provider and o.grouping = p_grouping
        and o.created_at <= pg_catalog.clock_timestamp()
            - pg_catalog.make_interval(secs => s.batch_wait_s)
        for no key update of o skip locked) as old
    where i.id = old.id;
    with candidate as materialized (
        select i.id, i.bytes, i.created_at from engine.batch_items i
        where i.state = 'queued' and i.provider = p_provider and i.grouping = p_grouping
        order by i.created_at, i.id
        limit 200
        for no key update skip locked
    ), sized as (
        select c.id, pg_catalog.sum(c.bytes) over (order by c.created_at, c.id) as bytes
        from candidate c
    )
    -- The first is no larger than all may be.
    select pg_catalog.array_agg(s.id) into v_items from sized s where s.bytes <= 16777216;
    if v_items is null then
        return;
    end if;
    select pg_catalog.jsonb_object_agg(i.id, pg_catalog.jsonb_build_object(
        'run_id', r.id, 'user_id', r.requester_id, 'org_id', r.org_id,
        'assistant_id', r.assistant_id)) into strict v_askers
    from engine.batch_items i inner join engine.runs r on r.id = i.run_id
    where i.id = any (v_items);
    insert into engine.batches (id, provider, grouping, askers)
    values (v_batch, p_provider, p_grouping, v_askers);
    update engine.batch_items i set state = 'sent', batch_id = v_batch where i.id = any (v_items);
end
$$;
comment on function engine.gather_batch(text, text) is
'Up to 200 questions that wait for the same are one batch, of 16 MB at most; what has waited too long is
expired.';

create function engine.take_batches(
    p_holder text, p_providers text[], p_delay_s double precision, p_lease_s double precision
) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_group record;
    v_taken jsonb;
    v_wait_s integer := (select s.batch_wait_s from engine.settings s);
begin
    for v_group in
        select i.provider, i.grouping from engine.batch_items i
        where i.state = 'queued' and i.provider = any (p_providers)
        group by i.provider, i.grouping
        having pg_catalog.min(i.created_at) <= pg_catalog.clock_timestamp()
            - pg_catalog.make_interval(secs => p_delay_s)
        or pg_catalog.count(*) >= 200
    loop
        perform engine.gather_batch(v_group.provider, v_group.grouping);
    end loop;
    with due as materialized (
        select b.id from engine.batches b
        where b.state <> 'ended' and b.provider = any (p_providers)
        and b.looks_at <= pg_catalog.clock_timestamp()
        and coalesce(b.lease_until <= pg_catalog.clock_timestamp(), true)
        order by b.looks_at limit 1
        for no key update skip locked
    ), taken as (
        update engine.batches b
        set holder = p_holder, attempts = b.attempts + 1,
            lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_s)
        from due d where b.id = d.id
        returning b.*
    )
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'id', t.id, 'provider', t.provider, 'grouping', t.grouping, 'vendor_id', t.vendor_id,
        'state', t.state, 'is_first', t.attempts = 1,
        'created_s', extract(epoch from t.created_at),
        'is_stale', t.created_at < pg_catalog.clock_timestamp()
            - pg_catalog.make_interval(secs => greatest(2 * v_wait_s, 172800)),
        'asked', (select pg_catalog.jsonb_agg(a.key) from pg_catalog.jsonb_object_keys(t.askers) as a (key)),
        'items', engine.describe_batch(t.id, t.state = 'submitting'),
        'others', (select coalesce(pg_catalog.jsonb_agg(o.vendor_id), '[]') from engine.batches o
            where t.state = 'submitting' and t.attempts > 1 and o.provider = t.provider
            and o.vendor_id is not null)))
    into v_taken from taken t;
    return coalesce(v_taken, '[]');
end
$$;
comment on function engine.take_batches(text, text[], double precision, double precision) is
'The batch that was looked at longest ago is the holder''s for p_lease_s seconds: [{"id", "provider",
"grouping", "vendor_id", "state", "is_first", "created_s", "is_stale", "asked": [id], "items": [{"id", "model", "bytes",
"body"}], "others"}] of one batch or none; the bodies while it is being submitted, and the provider''s ids
of other batches where it has to be searched for. Questions that have waited for p_delay_s are batches
before.';

create function engine.describe_batch(p_batch uuid, p_with_bodies boolean) returns jsonb
language sql
stable
security invoker
set search_path = ''
begin atomic
    select
        coalesce(jsonb_agg(
            jsonb_build_object(
                'id', i.id, 'model', i.model, 'bytes', i.bytes,
                'body', case when p_with_bodies then i.body end
            )
            order by i.created_at, i.id
        ), '[]')
    from engine.batch_items as i
    where i.batch_id = p_batch and i.state = 'sent';
end;
comment on function engine.describe_batch(uuid, boolean) is
'The questions of a batch that have no answer yet.';

create function public.service_take_batches(
    p_holder text, p_providers text[], p_delay_s double precision, p_lease_s double precision
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.take_batches(p_holder, p_providers, p_delay_s, p_lease_s);
end;
comment on function public.service_take_batches(text, text[], double precision, double precision) is
'engine.take_batches over the Data API.';

revoke all on function
engine.gather_batch(text, text), engine.describe_batch(uuid, boolean),
engine.take_batches(text, text[], double precision, double precision),
public.service_take_batches(text, text[], double precision, double precision)
from public, anon, authenticated, service_role;
grant execute on function engine.take_batches(text, text[], double precision, double precision)
to assistants_engine, service_role;
grant execute on function
public.service_take_batches(text, text[], double precision, double precision)
to service_role;
