-- Purpose:   what a worker has learnt of a batch: its id at the provider, its answers, its end.
-- Guarantee: an answer, what it cost, and that its run is ready again are one transaction; told twice,
--            they are the same. Whatever was paid is in the ledger, also when the run is gone.
-- Caller:    workers, as members of assistants_engine.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.note_batch(
    p_batch uuid, p_holder text, p_vendor_id text, p_after_s double precision
) returns jsonb
language sql
volatile
security definer -- the service has no rights on tables
set search_path = ''
begin atomic
    -- Whose lease has run out may still know what nobody else does: under which id it was made.
    with noted as (
        update engine.batches as b
        set
            vendor_id = coalesce(b.vendor_id, nullif(p_vendor_id, '')),
            state = case
                when coalesce(b.vendor_id, nullif(p_vendor_id, '')) is null then b.state else 'open'
            end,
            attempts = case when p_vendor_id = '' then 0 else b.attempts end,
            looks_at = clock_timestamp() + make_interval(secs => p_after_s),
            holder = null,
            lease_until = null
        where
            b.id = p_batch and b.state <> 'ended'
            and (b.holder = p_holder or (b.vendor_id is null and p_vendor_id <> ''))
        returning b.id, b.vendor_id
    ),

    -- The provider has them.
    emptied as (
        update engine.batch_items as i set body = ''
        from noted
        where
            i.batch_id = noted.id and i.state = 'sent' and i.body <> ''
            and noted.vendor_id is not null
    )

    select
        jsonb_build_object(
            'state', case when exists (select from noted) then 'stored' else 'lost' end
        );
end;
comment on function engine.note_batch(uuid, text, text, double precision) is
'{"state": stored | lost}: the batch has this id at the provider, if one is given, which has its questions
then; and is looked at again in p_after_s seconds. Lost: it is another''s by now. An empty id: there is no
such batch for certain, and who takes it next sends it without a search.';

create function engine.bill_batch(p_batch uuid, p_results jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
begin atomic
    -- Under the id of the question: a call that is told twice is one row.
    select
        engine.record_calls(jsonb_agg(
            o.value -> 'call' || coalesce(b.askers -> (o.value ->> 'id'), '{}')
            || jsonb_build_object(
                'id', o.value ->> 'id',
                'age_s', 0,
                'duration_ms', least(
                    2147483647, extract(epoch from clock_timestamp() - b.created_at)::bigint * 1000
                )
            )
        ))
    from jsonb_array_elements(p_results) as o (value)
    inner join engine.batches as b on b.id = p_batch and b.askers ? (o.value ->> 'id')
    where jsonb_typeof(o.value -> 'call') = 'object'
    having count(*) > 0;
end;
comment on function engine.bill_batch(uuid, jsonb) is
'The calls of these results are in the ledger, each once, for whoever asked.';

create function engine.land_batch(p_batch uuid, p_results jsonb, p_is_last boolean) returns jsonb
language plpgsql
volatile
security definer -- the service has no rights on tables
set search_path = ''
as $$
declare
    v_asked uuid[];
    v_runs uuid[];
    v_items uuid[];
    v_late uuid[];
    v_woken bigint;
begin
    -- Before its questions, as engine.note_batch does.
    perform from engine.batches b where b.id = p_batch for no key update;
    select pg_catalog.array_agg(i.id) into v_asked from engine.batch_items i
    where i.batch_id = p_batch and i.state = 'sent' and (p_is_last or i.id in (
        select (o.value ->> 'id')::uuid from pg_catalog.jsonb_array_elements(p_results) as o));
    -- Who is giving such a run back just now looks for its answer when this is done. Who deletes several
    -- holds one, and waits for another: nobody waits for them here.
    select coalesce(pg_catalog.array_agg(h.id), '{}') into v_runs from (
        select r.id from engine.runs r
        where r.id in (select i.run_id from engine.batch_items i where i.id = any (v_asked))
        for no key update skip locked) as h;
    select coalesce(pg_catalog.array_agg(i.id) filter (where i.run_id = any (v_runs)), '{}'),
        coalesce(pg_catalog.array_agg(i.id) filter (where i.run_id <> all (v_runs)), '{}')
    into v_items, v_late
    from engine.batch_items i where i.id = any (v_asked);
    perform engine.bill_batch(p_batch, (
        select coalesce(pg_catalog.jsonb_agg(o.value), '[]')
        from pg_catalog.jsonb_array_elements(p_results) as o
        where (o.value ->> 'id')::uuid <> all (v_late)));
    update engine.batch_items i
    set state = coalesce(o.value ->> 'state', 'expired'), answer = o.value -> 'answer', body = '',
        ended_at = pg_catalog.clock_timestamp()
    from engine.batch_items n left join pg_catalog.jsonb_array_elements(p_results) as o
        on n.id = (o.value ->> 'id')::uuid
    where i.id = n.id and n.id = any (v_items) and i.state = 'sent';
    -- Also where the run is gone.
    delete from engine.budget_reservations r
    using engine.batches b, pg_catalog.jsonb_each(b.askers) as a
    where b.id = p_batch and r.run_id = (a.value ->> 'run_id')::uuid and r.in_batch
    and not exists (select from engine.batch_items w
        where w.run_id = r.run_id and w.state in ('queued', 'sent'));
    -- For one answer of several it looks, and waits on.
    update engine.runs r
    set run_after = pg_catalog.clock_timestamp(), turn_at = pg_catalog.clock_timestamp()
    where r.id = any (v_runs) and r.status = 'ready' and r.run_after > pg_catalog.clock_timestamp();
    get diagnostics v_woken = row_count;
    if v_woken > 0 then
        perform engine.wake('run');
    end if;
    if p_is_last and v_late = '{}' then
        update engine.batches b
        set state = 'ended', ended_at = pg_catalog.clock_timestamp(), holder = null, lease_until = null
        where b.id = p_batch and b.state <> 'ended';
    end if;
    return pg_catalog.jsonb_build_object('woken', v_woken, 'left', pg_catalog.cardinality(v_late));
end
$$;
comment on function engine.land_batch(uuid, jsonb, boolean) is
'{"woken", "left"}: results [{"id", "state": done | expired, "answer", "call"}] are stored and their runs
ready, but for those left, whose runs somebody else holds just now: they are to be told again. p_is_last:
the batch has ended unless some are left, and what has no answer is expired.';

create function public.service_note_batch(
    p_batch uuid, p_holder text, p_vendor_id text, p_after_s double precision
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.note_batch(p_batch, p_holder, p_vendor_id, p_after_s);
end;
comment on function public.service_note_batch(uuid, text, text, double precision) is
'engine.note_batch over the Data API.';

create function public.service_land_batch(
    p_batch uuid, p_results jsonb, p_is_last boolean
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
begin atomic
    select engine.land_batch(p_batch, p_results, p_is_last);
end;
comment on function public.service_land_batch(uuid, jsonb, boolean) is
'engine.land_batch over the Data API.';

revoke all on function
engine.bill_batch(uuid, jsonb), engine.note_batch(uuid, text, text, double precision),
engine.land_batch(uuid, jsonb, boolean),
public.service_note_batch(uuid, text, text, double precision),
public.service_land_batch(uuid, jsonb, boolean)
from public, anon, authenticated, service_role;
grant execute on function
engine.note_batch(uuid, text, text, double precision), engine.land_batch(uuid, jsonb, boolean)
to assistants_engine, service_role;
grant execute on function
public.service_note_batch(uuid, text, text, double precision),
public.service_land_batch(uuid, jsonb, boolean)
to service_role;
