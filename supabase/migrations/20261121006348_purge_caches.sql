-- Purpose:   caches stay within their size.
-- Guarantee: what was used longest ago goes first.
-- Caller:    engine.purge. No role may execute this.

set lock_timeout = '5s';
set statement_timeout = '60s';

create function engine.purge_caches(p_limit integer) returns integer
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_expired integer;
    v_evicted integer;
begin
    delete from engine.cache_entries e using (
        select o.cache, o.key from engine.cache_entries o
        where o.expires_at < pg_catalog.clock_timestamp()
        order by o.expires_at limit p_limit for update skip locked) as old
    where e.cache = old.cache and e.key = old.key;
    get diagnostics v_expired = row_count;
    with size (cache, excess) as (
        select l.cache, pg_catalog.sum(e.bytes) - l.max_bytes
        from engine.cache_limits l inner join engine.cache_entries e on e.cache = l.cache
        group by l.cache having pg_catalog.sum(e.bytes) > l.max_bytes
    ),

    -- The one whose end goes beyond the excess is the last that goes.
    unused (cache, key) as (
        select o.cache, o.key from (
            select e.cache, e.key, s.excess, pg_catalog.sum(e.bytes) over (
                partition by e.cache order by e.used_at, e.key) - e.bytes as before
            from engine.cache_entries e inner join size s on s.cache = e.cache) as o
        where o.before < o.excess
        limit p_limit
    )

    delete from engine.cache_entries e using unused u where e.cache = u.cache and e.key = u.key;
    get diagnostics v_evicted = row_count;
    return v_expired + v_evicted;
end
$$;
comment on function engine.purge_caches(integer) is
'Entries that have expired are gone, and those that were used longest ago where a cache is too large.';

revoke all on function engine.purge_caches(integer) from public, anon, authenticated, service_role;
