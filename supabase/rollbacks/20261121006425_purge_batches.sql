-- Purpose:   undoes that housekeeping forgets batches.
-- Guarantee: what it cleared before it clears still.
-- Caller:    `assistants migrate --back-to`.

set lock_timeout = '5s';
set statement_timeout = '60s';

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
    return v_calls;
end
$$;
comment on function engine.purge_calls(integer) is
'Calls beyond their time are gone, and what was reserved or spent for another day and month.';

drop function engine.purge_batches(integer);
