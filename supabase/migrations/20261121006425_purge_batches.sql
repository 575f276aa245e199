-- Purpose:   housekeeping forgets questions that are answered, and batches that have ended.
-- Guarantee: what is under way stays, unless nobody has looked after it for two days and twice as long as
--            a run may wait: no text stays for ever where its provider is no longer asked in batches.
-- Caller:    engine.purge. Redefines engine.purge_calls (006350), as it was but for batches.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.purge_batches(p_limit integer) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_wait_s integer := (select s.batch_wait_s from engine.settings s);
    v_old uuid[];
begin
    update engine.batch_items i
    set state = 'expired', body = '', ended_at = pg_catalog.clock_timestamp()
    from (
        select o.id from engine.batch_items o
        where o.state = 'queued' and o.created_at <= pg_catalog.clock_timestamp()
            - pg_catalog.make_interval(secs => v_wait_s)
        limit p_limit for no key update skip locked) as old
    where i.id = old.id;
    select pg_catalog.array_agg(o.id) into v_old from (
        select b.id from engine.batches b
        where b.state <> 'ended' and b.created_at < pg_catalog.clock_timestamp()
            - pg_catalog.make_interval(secs => greatest(2 * v_wait_s, 172800))
        and coalesce(b.lease_until <= pg_catalog.clock_timestamp(), true)
        limit p_limit for no key update skip locked) as o;
    update engine.batch_items i
    set state = 'expired', body = '', ended_at = pg_catalog.clock_timestamp()
    from (
        select o.id from engine.batch_items o
        where o.batch_id = any (v_old) and o.state = 'sent'
        limit p_limit for no key update skip locked) as old
    where i.id = old.id;
    update engine.batches b
    set state = 'ended', ended_at = pg_catalog.clock_timestamp(), holder = null, lease_until = null
    where b.id = any (v_old) and not exists (
        select from engine.batch_items i where i.batch_id = b.id and i.state = 'sent');
    -- While a batch is under way its questions stay: they say which one it is.
    delete from engine.batch_items i using (
        select o.id from engine.batch_items o inner join engine.runs r on r.id = o.run_id
        where o.state <> 'sent' and r.ended_at is not null
        limit p_limit for update of o skip locked) as old
    where i.id = old.id;
    delete from engine.batches b using (
        select o.id from engine.batches o
        where o.state = 'ended' and o.ended_at < pg_catalog.statement_timestamp() - interval '7 days'
        and not exists (select from engine.batch_items i where i.batch_id = o.id)
        order by o.ended_at limit p_limit for update skip locked) as old
    where b.id = old.id;
end
$$;
comment on function engine.purge_batches(integer) is
'Questions of runs that have ended are gone, and batches a week after their end; a question that has waited
too long is expired, and what was not answered for two days, or twice that wait, has ended.';
revoke all on function engine.purge_batches(integer) from public, anon, authenticated, service_role;

create or replace function engine.purge_calls(p_limit integer) returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_calls integer;
begin
    delete from engine.model_calls c using (
        select o.id from engine.model_calls o, engine.settings s
        where o.at < pg_catalog.statement_timestamp()
            - pg_catalog.make_interval(days => s.model_calls_kept_days)
        order by o.at limit p_limit for update of o skip locked) as old
    where c.id = old.id;
    get diagnostics v_calls = row_count;
    delete from engine.budget_reservations b using (
        select o.id from engine.budget_reservations o
        where o.expires_at < pg_catalog.statement_timestamp()
        limit p_limit for update skip locked) as old
    where b.id = old.id;
    delete from engine.spending s using (
        select o.scope, o.subject from engine.spending o
        where o.month < pg_catalog.date_trunc(
            'month', pg_catalog.statement_timestamp() at time zone 'UTC')::date
        limit p_limit for update skip locked) as old
    where s.scope = old.scope and s.subject = old.subject;
    perform engine.purge_batches(p_limit);
    return v_calls;
end
$$;
comment on function engine.purge_calls(integer) is
'Calls beyond their time are gone, what was reserved or spent for another day and month, and batches.';
